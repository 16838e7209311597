// Reads the parts of a 64-bit x86 ELF file that loading a kernel takes (System V gABI 4.1 and its
// x86-64 supplement). The file may be hostile: every offset and size is checked before use.

import { UserError } from "../errors.ts";
import { type BootFile, formatAddress } from "./plan.ts";

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PROGRAM_HEADER_COUNT_MAX = 128;
const NOTES_SIZE_MAX = 64 * 1024;
const PT_LOAD = 1;
const PT_NOTE = 4;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;
/** "XEN_ELFNOTE_PHYS32_ENTRY" of Xen's public elfnote.h. */
const PHYS32_ENTRY_NOTE = 18;
/** Guest memory ends far below; larger values are not exact numbers. */
const ADDRESS_MAX = 2 ** 52;

/** Names of machines whose kernels people try here by mistake (ELF e_machine). */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [3, "32-bit x86"],
  [8, "MIPS"],
  [20, "32-bit PowerPC"],
  [21, "PowerPC"],
  [22, "s390"],
  [40, "32-bit ARM"],
  [183, "aarch64"],
  [243, "RISC-V"],
  [258, "LoongArch"],
]);

/** One loadable segment: `fileSize` bytes from the file, then zeros up to `memorySize`. */
export interface ElfSegment {
  readonly fileOffset: number;
  readonly fileSize: number;
  readonly physicalAddress: number;
  readonly memorySize: number;
}

/** What a loader needs of the file. */
export interface ElfImage {
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  /** Physical address of the 32-bit PVH entry, if a note names one. */
  readonly pvhEntry: number | undefined;
}

interface ProgramHeader extends ElfSegment {
  readonly type: number;
}

/**
 * Parses headers and notes. Errors name what the file is instead, or which part of it points
 * outside of it.
 */
export function parseElf(file: BootFile): ElfImage {
  const header = viewOf(readExactly(file, 0, HEADER_SIZE, "ELF header"));
  checkIdentity(file, header);
  const programHeaders = readProgramHeaders(file, header);
  const segments = programHeaders.filter((each) => each.type === PT_LOAD && each.memorySize > 0);
  if (segments.length === 0) throw damaged(file, "has no segment to load");
  const pvhEntry = programHeaders
    .filter((each) => each.type === PT_NOTE)
    .map((each) => findPvhEntry(file, each))
    .find((each) => each !== undefined);
  return { entry: readAddress(file, header, 24, "entry point"), segments, pvhEntry };
}

/** Whether `address` lies in the file bytes of a segment, as an entry point must. */
export function isLoadedCode(image: ElfImage, address: number): boolean {
  return image.segments.some(
    (segment) =>
      address >= segment.physicalAddress && address < segment.physicalAddress + segment.fileSize,
  );
}

function checkIdentity(file: BootFile, header: DataView): void {
  const littleEndian = header.getUint8(5) === 1;
  const machine = header.getUint16(18, littleEndian);
  const machineName = MACHINES.get(machine) ?? `machine ${machine}`;
  const is64Bit = header.getUint8(4) === 2;
  if (!is64Bit || !littleEndian || machine !== EM_X86_64) {
    const wordSize = is64Bit ? "64-bit" : "32-bit";
    throw new UserError(
      `The kernel '${file.path}' is a ${wordSize} ELF file for ${machineName}; ` +
        "this machine runs 64-bit x86 kernels.",
    );
  }
  const type = header.getUint16(16, true);
  if (type !== ET_EXEC && type !== ET_DYN) {
    throw new UserError(
      `The kernel '${file.path}' is an ELF file of type ${type} (an object or a core dump); ` +
        "a vmlinux is an executable, type 2.",
    );
  }
}

function readProgramHeaders(file: BootFile, header: DataView): ProgramHeader[] {
  const tableOffset = readAddress(file, header, 32, "program header offset");
  const entrySize = header.getUint16(54, true);
  const count = header.getUint16(56, true);
  if (entrySize !== PROGRAM_HEADER_SIZE) {
    throw damaged(file, `has program headers of ${entrySize} bytes where 56 are right`);
  }
  if (count > PROGRAM_HEADER_COUNT_MAX) {
    throw damaged(file, `has ${count} program headers, more than ${PROGRAM_HEADER_COUNT_MAX}`);
  }
  const size = count * PROGRAM_HEADER_SIZE;
  const table = viewOf(readExactly(file, tableOffset, size, "program header table"));
  return Array.from({ length: count }, (_, index) =>
    readProgramHeader(file, table, index * PROGRAM_HEADER_SIZE),
  );
}

function readProgramHeader(file: BootFile, table: DataView, base: number): ProgramHeader {
  const type = table.getUint32(base, true);
  if (type !== PT_LOAD && type !== PT_NOTE) {
    return { type, fileOffset: 0, fileSize: 0, physicalAddress: 0, memorySize: 0 };
  }
  const programHeader = {
    type,
    fileOffset: readAddress(file, table, base + 8, "segment offset"),
    physicalAddress: readAddress(file, table, base + 24, "segment address"),
    fileSize: readAddress(file, table, base + 32, "segment size"),
    memorySize: readAddress(file, table, base + 40, "segment memory size"),
  };
  const end = programHeader.fileOffset + programHeader.fileSize;
  if (end > file.size) throw truncated(file, "a segment", end);
  if (type === PT_LOAD && programHeader.fileSize > programHeader.memorySize) {
    throw damaged(file, "has a segment with more bytes in the file than in memory");
  }
  return programHeader;
}

/** Walks the notes: three words, name and contents, each padded to 4 bytes. */
function findPvhEntry(file: BootFile, header: ElfSegment): number | undefined {
  const size = Math.min(header.fileSize, NOTES_SIZE_MAX);
  const bytes = readExactly(file, header.fileOffset, size, "note segment");
  const view = viewOf(bytes);
  let offset = 0;
  while (offset + 12 <= bytes.length) {
    const nameSize = view.getUint32(offset, true);
    const contentSize = view.getUint32(offset + 4, true);
    const type = view.getUint32(offset + 8, true);
    const nameOffset = offset + 12;
    const contentOffset = nameOffset + alignNote(nameSize);
    const next = contentOffset + alignNote(contentSize);
    if (next > bytes.length) return undefined;
    const name = String.fromCharCode(...bytes.subarray(nameOffset, nameOffset + 4));
    if (nameSize === 4 && name === "Xen\0" && type === PHYS32_ENTRY_NOTE) {
      if (contentSize === 4) return view.getUint32(contentOffset, true);
      if (contentSize === 8) return readAddress(file, view, contentOffset, "PVH entry point");
      throw damaged(file, `has a PVH entry note of ${contentSize} bytes where 4 or 8 are right`);
    }
    offset = next;
  }
  return undefined;
}

function alignNote(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function readAddress(file: BootFile, view: DataView, offset: number, what: string): number {
  const value = view.getBigUint64(offset, true);
  if (value > BigInt(ADDRESS_MAX)) {
    throw damaged(file, `has the ${what} 0x${value.toString(16)}, far outside of any memory`);
  }
  return Number(value);
}

function readExactly(file: BootFile, offset: number, size: number, what: string): Uint8Array {
  if (offset + size > file.size) throw truncated(file, `the ${what}`, offset + size);
  const bytes = file.read(offset, size);
  if (bytes.length !== size) throw truncated(file, `the ${what}`, offset + size);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function truncated(file: BootFile, part: string, end: number): UserError {
  return new UserError(
    `The kernel '${file.path}' is cut off: ${part} ends at ${formatAddress(end)}, ` +
      `but the file has ${file.size} bytes.`,
  );
}

function damaged(file: BootFile, problem: string): UserError {
  return new UserError(`The kernel '${file.path}' is a damaged ELF file: it ${problem}.`);
}
