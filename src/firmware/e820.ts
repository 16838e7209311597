// The guest's memory map as firmware tells it: where RAM is and which of it the tables use.

/** Guest RAM: from 0 up to the gap below 4 GiB, and the rest from the end of the gap. */
export interface MemoryLayout {
  /** All of the guest's RAM in bytes. */
  readonly size: number;
  /** First address of the gap: 3 GiB on microvm, 2 GiB on q35. */
  readonly gapStart: number;
  /** First address above the gap, 4 GiB. */
  readonly gapEnd: number;
}

/** A range of guest physical addresses. */
export interface AddressRange {
  readonly address: number;
  readonly size: number;
}

/** Address range types (ACPI 6.5 table 15.4), equal in the zero page and in PVH's memory map. */
const E820_TYPE = { ram: 1, reserved: 2 } as const;

/** One line of the memory map. */
export interface E820Entry extends AddressRange {
  readonly type: number;
}

/** First address of the legacy hole under 1 MiB (video memory and ROMs on a PC). */
export const LOW_MEMORY_END = 0xa_0000;
/** First address of RAM above the hole. */
export const HIGH_MEMORY_START = 0x10_0000;

/** Up to two ranges of RAM, in address order. */
export function ramRanges(memory: MemoryLayout): AddressRange[] {
  const low = Math.min(memory.size, memory.gapStart);
  const ranges = [{ address: 0, size: low }];
  if (memory.size > low) ranges.push({ address: memory.gapEnd, size: memory.size - low });
  return ranges;
}

/** What the map is made of. */
export interface E820Description {
  readonly memory: MemoryLayout;
  /** Start of the extended BIOS data area, reserved up to 0xA0000. */
  readonly ebdaStart: number;
  /** Start of the firmware tables, reserved up to 1 MiB. */
  readonly firmwareStart: number;
}

/** The memory map of a machine booted without firmware, sorted and without overlaps. */
export function buildE820(description: E820Description): E820Entry[] {
  const { ebdaStart, firmwareStart, memory } = description;
  const [low, high] = ramRanges(memory);
  const between = (type: number, start: number, end: number): E820Entry => ({
    address: start,
    size: Math.max(0, end - start),
    type,
  });
  const entries = [
    between(E820_TYPE.ram, 0, ebdaStart),
    between(E820_TYPE.reserved, ebdaStart, LOW_MEMORY_END),
    between(E820_TYPE.reserved, firmwareStart, HIGH_MEMORY_START),
    between(E820_TYPE.ram, HIGH_MEMORY_START, low?.size ?? 0),
  ];
  if (high !== undefined) entries.push({ ...high, type: E820_TYPE.ram });
  return entries.filter((entry) => entry.size > 0);
}
