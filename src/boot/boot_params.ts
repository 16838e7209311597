// The zero page: what a loader tells a Linux kernel that is entered in 64-bit mode
// (Linux Documentation/arch/x86/boot.rst and zero-page.rst).

import { UserError } from "../errors.ts";
import type { E820Entry } from "../firmware/e820.ts";
import { SETUP_HEADER_OFFSET } from "./bzimage.ts";

const ZERO_PAGE_SIZE = 4096;
const E820_TABLE_OFFSET = 0x2d0;
const E820_ENTRY_SIZE = 20;
const E820_ENTRY_COUNT_MAX = 128;
/** A boot loader without a number of its own. */
const LOADER_TYPE_UNDEFINED = 0xff;

const FIELD = {
  rsdpAddress: 0x70,
  e820EntryCount: 0x1e8,
  bootFlag: 0x1fe,
  headerMagic: 0x202,
  version: 0x206,
  loaderType: 0x210,
  loadFlags: 0x211,
  initrdAddress: 0x218,
  initrdSize: 0x21c,
  commandLineAddress: 0x228,
  kernelAlignment: 0x230,
  commandLineSize: 0x238,
} as const;

/** What the zero page says. */
export interface BootParameters {
  /** Of a bzImage; a kernel without one gets the fields that it reads. */
  readonly setupHeader: Uint8Array | undefined;
  readonly e820: readonly E820Entry[];
  readonly commandLine: { readonly address: number; readonly size: number };
  readonly initrd: { readonly address: number; readonly size: number } | undefined;
  readonly rsdpAddress: number | undefined;
}

/** The zero page's 4096 bytes. Errors: more than 128 lines in the memory map. */
export function buildZeroPage(parameters: BootParameters): Uint8Array {
  const page = new Uint8Array(ZERO_PAGE_SIZE);
  const view = new DataView(page.buffer);
  if (parameters.setupHeader === undefined) writeDefaultHeader(view, parameters.commandLine.size);
  else page.set(parameters.setupHeader, SETUP_HEADER_OFFSET);
  view.setUint8(FIELD.loaderType, LOADER_TYPE_UNDEFINED);
  view.setUint32(FIELD.commandLineAddress, parameters.commandLine.address, true);
  view.setUint32(FIELD.initrdAddress, parameters.initrd?.address ?? 0, true);
  view.setUint32(FIELD.initrdSize, parameters.initrd?.size ?? 0, true);
  view.setBigUint64(FIELD.rsdpAddress, BigInt(parameters.rsdpAddress ?? 0), true);
  writeE820(view, parameters.e820);
  return page;
}

function writeDefaultHeader(view: DataView, commandLineSize: number): void {
  view.setUint16(FIELD.bootFlag, 0xaa55, true);
  view.setUint32(FIELD.headerMagic, 0x48647253);
  view.setUint16(FIELD.version, 0x20c, true);
  view.setUint8(FIELD.loadFlags, 1);
  view.setUint32(FIELD.kernelAlignment, 0x100_0000, true);
  view.setUint32(FIELD.commandLineSize, commandLineSize, true);
}

function writeE820(view: DataView, e820: readonly E820Entry[]): void {
  if (e820.length > E820_ENTRY_COUNT_MAX) {
    throw new UserError(
      `The guest's memory map has ${e820.length} ranges, more than the ` +
        `${E820_ENTRY_COUNT_MAX} a Linux kernel can be told.`,
    );
  }
  view.setUint8(FIELD.e820EntryCount, e820.length);
  for (const [index, entry] of e820.entries()) {
    const offset = E820_TABLE_OFFSET + index * E820_ENTRY_SIZE;
    view.setBigUint64(offset, BigInt(entry.address), true);
    view.setBigUint64(offset + 8, BigInt(entry.size), true);
    view.setUint32(offset + 16, entry.type, true);
  }
}
