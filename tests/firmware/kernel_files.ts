// Small kernels for the boot tests, made of the fields that a loader reads.

import type { BootFile } from "../../src/boot/plan.ts";

/** A file in memory. */
export function fileOf(path: string, bytes: Uint8Array): BootFile {
  return {
    path,
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** Bytes that no loader knows and a processor would run. */
export function flatBytes(size = 4096): Uint8Array {
  return new Uint8Array(size).fill(0xf4);
}

/** Changes to a small bzImage, as [offset, bytes]. */
export type Patch = readonly [offset: number, ...bytes: number[]];

/** Two setup sectors and 2 KiB of protected-mode code, protocol 2.15, relocatable, 64-bit. */
export function bzImageBytes(...patches: Patch[]): Uint8Array {
  const bytes = new Uint8Array(3 * 512 + 2048).fill(0x90, 3 * 512);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 2;
  view.setUint32(0x1f4, 2048 / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  bytes.set([0xeb, 0x6a], 0x200);
  view.setUint32(0x202, 0x48647253);
  view.setUint16(0x206, 0x20f, true);
  bytes[0x211] = 1;
  view.setUint32(0x214, 0x10_0000, true);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint32(0x230, 0x20_0000, true);
  bytes[0x234] = 1;
  view.setUint16(0x236, 0x7f, true);
  view.setUint32(0x238, 255, true);
  view.setBigUint64(0x258, 0x100_0000n, true);
  view.setUint32(0x260, 0x200_0000, true);
  for (const [offset, ...replacement] of patches) bytes.set(replacement, offset);
  return bytes;
}

/** One program header. */
export interface TestSegment {
  readonly type: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly fileSize: bigint;
  readonly memorySize: bigint;
}

/** A segment of code at 16 MiB with a page of zeros behind it. */
export const CODE_SEGMENT: TestSegment = {
  type: 1,
  offset: 0x1000n,
  address: 0x100_0000n,
  fileSize: 0x1000n,
  memorySize: 0x2000n,
};

/** A note segment at the place where `elfBytes` puts the PVH note. */
export const NOTE_SEGMENT: TestSegment = {
  type: 4,
  offset: 0x800n,
  address: 0n,
  fileSize: 20n,
  memorySize: 20n,
};

/** An 8 KiB vmlinux with the given segments; a PVH note lies at 0x800. */
export function elfBytes(segments: readonly TestSegment[], ...patches: Patch[]): Uint8Array {
  const bytes = new Uint8Array(0x2000).fill(0x90, 0x1000);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, 0x100_0000n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  for (const [index, segment] of segments.entries()) {
    const base = 64 + index * 56;
    view.setUint32(base, segment.type, true);
    view.setBigUint64(base + 8, segment.offset, true);
    view.setBigUint64(base + 24, segment.address, true);
    view.setBigUint64(base + 32, segment.fileSize, true);
    view.setBigUint64(base + 40, segment.memorySize, true);
  }
  bytes.set([4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0, 0x40, 0, 0, 1], 0x800);
  for (const [offset, ...replacement] of patches) bytes.set(replacement, offset);
  return bytes;
}
