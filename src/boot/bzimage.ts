// Reads the setup header of a bzImage (Linux Documentation/arch/x86/boot.rst).

import { UserError } from "../errors.ts";
import { HIGH_MEMORY_START } from "../firmware/e820.ts";
import { type BootFile, formatAddress } from "./plan.ts";

const SECTOR_SIZE = 512;
/** Where the setup header begins, in the file and in the zero page. */
export const SETUP_HEADER_OFFSET = 0x1f1;
/** The zero page keeps this much of it; the memory map follows at 0x2d0. */
const SETUP_HEADER_END_MAX = 0x290;
/** Smallest file whose header says what protocol 2.12 needs. */
const HEADER_END_MIN = 0x268;
const PROTOCOL_MIN = 0x20c;
const LOADED_HIGH = 1;
const XLF_KERNEL_64 = 1;
/** Offset of the 64-bit entry in the protected-mode part. */
const ENTRY_64_OFFSET = 0x200;

/** What the header says, checked. */
export interface BzImage {
  /** The setup header, to be copied to the same offset of the zero page. */
  readonly setupHeader: Uint8Array;
  /** The protected-mode part in the file. */
  readonly fileOffset: number;
  readonly fileSize: number;
  readonly loadAddress: number;
  readonly entry: number;
  /** Where the unpacked kernel runs, and the memory it takes there before it knows its map. */
  readonly runAddress: number;
  readonly runSize: number;
  /** Command line limit in bytes, without its NUL. */
  readonly commandLineSizeMax: number;
  /** Highest address an initrd may take. */
  readonly initrdAddressMax: number;
}

/** Whether the file claims to be one: boot sector mark and "HdrS". */
export function isBzImage(file: BootFile): boolean {
  const header = file.read(0, Math.min(file.size, HEADER_END_MIN));
  if (header.length < 0x206) return false;
  const view = new DataView(header.buffer, header.byteOffset);
  return view.getUint16(0x1fe, true) === 0xaa55 && view.getUint32(0x202) === 0x48647253;
}

/** Reads and checks the header. Errors: too old, not 64-bit, loaded low, or cut off. */
export function parseBzImage(file: BootFile): BzImage {
  const head = file.read(0, Math.min(file.size, SETUP_HEADER_END_MAX));
  if (head.length < HEADER_END_MIN) {
    throw new UserError(
      `The kernel '${file.path}' is cut off: its ${file.size} bytes end inside the setup header.`,
    );
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  checkProtocol(file, view);
  const setupSectors = view.getUint8(SETUP_HEADER_OFFSET) || 4;
  const fileOffset = (setupSectors + 1) * SECTOR_SIZE;
  const fileSize = file.size - fileOffset;
  const payloadSize = view.getUint32(0x1f4, true) * 16;
  // The last paragraph may be short: older build tools rounded the size up.
  if (fileSize <= ENTRY_64_OFFSET || fileSize + 16 <= payloadSize) {
    throw new UserError(
      `The kernel '${file.path}' is cut off: its header promises ` +
        `${fileOffset + payloadSize} bytes, but the file has ${file.size}.`,
    );
  }
  const loadAddress = view.getUint32(0x214, true);
  if (loadAddress < HIGH_MEMORY_START) {
    throw new UserError(
      `The kernel '${file.path}' wants to be loaded at ${formatAddress(loadAddress)}; ` +
        "a bzImage is loaded at 1 MiB or above.",
    );
  }
  const headerEnd = Math.min(0x202 + view.getUint8(0x201), head.length);
  return {
    setupHeader: head.slice(SETUP_HEADER_OFFSET, headerEnd),
    fileOffset,
    fileSize,
    loadAddress,
    entry: loadAddress + ENTRY_64_OFFSET,
    runAddress: runAddress(view, loadAddress),
    runSize: view.getUint32(0x260, true),
    commandLineSizeMax: view.getUint32(0x238, true),
    initrdAddressMax: view.getUint32(0x22c, true),
  };
}

function checkProtocol(file: BootFile, view: DataView): void {
  const version = view.getUint16(0x206, true);
  if (version < PROTOCOL_MIN) {
    throw new UserError(
      `The kernel '${file.path}' speaks boot protocol ${version >> 8}.${version & 0xff}; ` +
        "2.12 (Linux 3.8) or newer is needed to enter it in 64-bit mode.",
    );
  }
  if ((view.getUint16(0x236, true) & XLF_KERNEL_64) === 0) {
    throw new UserError(
      `The kernel '${file.path}' is a 32-bit x86 bzImage; this machine runs x86_64 kernels.`,
    );
  }
  if ((view.getUint8(0x211) & LOADED_HIGH) === 0) {
    throw new UserError(
      `The kernel '${file.path}' is a zImage, loaded below 1 MiB; a bzImage is right.`,
    );
  }
}

/**
 * A relocatable kernel runs where it was loaded, aligned, but not below its preferred address;
 * the others always run at that address ("init_size" in boot.rst).
 */
function runAddress(view: DataView, loadAddress: number): number {
  const alignment = Math.max(view.getUint32(0x230, true), 1);
  const preferred = Number(view.getBigUint64(0x258, true));
  const relocatable = view.getUint8(0x234) !== 0;
  if (!relocatable) return preferred;
  return Math.max(Math.ceil(loadAddress / alignment) * alignment, preferred);
}
