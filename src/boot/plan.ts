// A boot plan: which bytes go where in guest memory and how the first vCPU starts. Making one
// reads files but changes nothing; the machine carries it out.

import { UserError } from "../errors.ts";
import type { MemoryBlob } from "../firmware/byte_writer.ts";
import type { AddressRange, MemoryLayout } from "../firmware/e820.ts";
import { ramRanges } from "../firmware/e820.ts";

/** A file the plan reads its headers from; the machine has it open. */
export interface BootFile {
  /** As the user wrote it, for error sentences. */
  readonly path: string;
  /** Bytes in the file. */
  readonly size: number;
  /** Bytes from `offset` on, fewer than `length` only where the file ends. */
  read(offset: number, length: number): Uint8Array;
}

/** Bytes that go from a file descriptor into guest memory without passing through JavaScript. */
export interface FileLoad {
  readonly source: "kernel" | "initrd";
  readonly address: number;
  readonly fileOffset: number;
  readonly size: number;
}

/** A segment register with its hidden part, field for field what KVM takes. */
export interface Segment {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly type: number;
  readonly present: number;
  readonly dpl: number;
  readonly db: number;
  readonly s: number;
  readonly l: number;
  readonly g: number;
}

/** Base and limit of a descriptor table. */
export interface DescriptorTable {
  readonly base: number;
  readonly limit: number;
}

/** Registers of the bootstrap processor at its first instruction; those not named are zero. */
export interface EntryState {
  readonly mode: "long64" | "pvh32";
  readonly rip: number;
  readonly rsp: number;
  /** PVH start info, else 0. */
  readonly rbx: number;
  /** Zero page, else 0. */
  readonly rsi: number;
  readonly rflags: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly gdt: DescriptorTable;
  readonly idt: DescriptorTable;
  readonly code: Segment;
  /** DS, ES, FS, GS and SS. */
  readonly data: Segment;
  readonly task: Segment;
}

/** Everything between power-on and the first instruction. */
export interface BootPlan {
  readonly blobs: readonly MemoryBlob[];
  readonly fileLoads: readonly FileLoad[];
  /** Ranges that must read as zero: already so at power-on, to be cleared on a restart. */
  readonly zeroFills: readonly (AddressRange & { readonly name: string })[];
  readonly entry: EntryState;
}

/** A range of guest memory with an owner to name in an error. */
export interface Placement extends AddressRange {
  readonly name: string;
}

/** Fails with one sentence if a placement is not wholly RAM or two of them overlap. */
export function checkPlacements(placements: readonly Placement[], memory: MemoryLayout): void {
  const ranges = ramRanges(memory);
  const sorted = placements
    .filter((placement) => placement.size > 0)
    .toSorted((left, right) => left.address - right.address);
  let previous: Placement | undefined;
  for (const placement of sorted) {
    const end = placement.address + placement.size;
    const inRam = ranges.some(
      (range) => placement.address >= range.address && end <= range.address + range.size,
    );
    if (!inRam) throw new UserError(outsideMemory(placement, memory));
    if (previous !== undefined && previous.address + previous.size > placement.address) {
      throw new UserError(
        `The ${placement.name} (${describeRange(placement)}) overlaps ` +
          `the ${previous.name} (${describeRange(previous)}) in guest memory.`,
      );
    }
    previous = placement;
  }
}

function outsideMemory(placement: Placement, memory: MemoryLayout): string {
  return (
    `The ${placement.name} (${describeRange(placement)}) does not fit the guest's memory of ` +
    `${formatSize(memory.size)}; give more with -m.`
  );
}

function describeRange(range: AddressRange): string {
  return `${formatSize(range.size)} at ${formatAddress(range.address)}`;
}

/** An address as people write it, such as 0x100000. */
export function formatAddress(address: number): string {
  return `0x${address.toString(16)}`;
}

/** A size as people write it: whole MiB or KiB where it is one, else bytes or tenths of a MiB. */
export function formatSize(size: number): string {
  const mebibyte = 2 ** 20;
  if (size >= mebibyte) return `${Math.round((size / mebibyte) * 10) / 10} MiB`;
  if (size >= 1024 && size % 1024 === 0) return `${size / 1024} KiB`;
  return `${size} bytes`;
}
