// Additions to the kernel command line.

/** What the kernel's virtio-mmio driver must be told about one slot. */
export interface VirtioMmioSlot {
  readonly address: number;
  /** Size of the register window in bytes. */
  readonly size: number;
  readonly irq: number;
}

/**
 * Appends one `virtio_mmio.device=` per slot, in slot order. They go before a lone `--`, since the
 * kernel hands what follows it to init.
 */
export function addVirtioMmioDevices(
  commandLine: string,
  slots: readonly VirtioMmioSlot[],
): string {
  const additions = slots.map(
    (slot) => `virtio_mmio.device=${slot.size}@0x${slot.address.toString(16)}:${slot.irq}`,
  );
  const separator = /(?:^|\s)--(?=\s|$)/.exec(commandLine);
  if (separator === null) return [commandLine, ...additions].filter(Boolean).join(" ");
  const before = commandLine.slice(0, separator.index);
  const after = commandLine.slice(separator.index).trimStart();
  return [before, ...additions, after].filter(Boolean).join(" ");
}
