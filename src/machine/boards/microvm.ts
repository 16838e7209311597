// The microvm board as data: where things are and what it always has (behaviour 3.1).

import type { MemoryLayout } from "../../firmware/e820.ts";

const GIB = 2 ** 30;

/** RAM ends at 3 GiB below the gap for devices and goes on at 4 GiB. */
export function memoryLayout(sizeBytes: number): MemoryLayout {
  return { size: sizeBytes, gapStart: 3 * GIB, gapEnd: 4 * GIB };
}

export const IO_APIC_ADDRESS = 0xfec0_0000;

export const SERIAL = { port: 0x3f8, count: 8, irq: 4 } as const;
/** Without an interrupt: IRQ 8 belongs to a virtio-mmio slot. */
export const RTC = { port: 0x70, count: 2 } as const;
export const KEYBOARD_CONTROLLER = { port: 0x60, count: 5 } as const;
export const SLEEP_CONTROL_PORT = 0xce9;
export const RESET_CONTROL_PORT = 0xcf9;
export const RESET_VALUE = 0x0f;
/** The serial port's last register, scratch, which the debug port answers for. */
export const DEBUG_PORT = 0x3ff;

/** virtio-mmio slots: block devices first, then network devices, then everything else. */
export const VIRTIO_MMIO = {
  base: 0xf010_0000,
  size: 0x200,
  irqFirst: 5,
  slotCount: 11,
  blockSlots: 4,
  networkSlots: 2,
} as const;
