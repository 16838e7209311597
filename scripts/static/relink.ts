// Binds a compiled Bun program to the blob: each import's address is written into the program, the
// blob's segments are appended, and what a dynamic loader would read is removed. The result is a
// static executable for one address range (System V ABI, chapter 5: no PT_INTERP, no PT_DYNAMIC).

import type { Architecture } from "./architecture.ts";
import {
  alignUp,
  type ElfFile,
  type ElfSymbol,
  ET_EXEC,
  FILE_HEADER_SIZE,
  PROGRAM_HEADER_SIZE,
  type Segment,
  SegmentFlag,
  SegmentType,
} from "./elf.ts";
import {
  checkRuntime,
  IMPORT_SECTION,
  importsOf,
  THREAD_LOCAL_SYMBOL,
  threadLocalLayout,
} from "./imports.ts";

/** What the blob may add to the thread-local data that libc copies into every thread, in bytes. */
const EXTRA_THREAD_LOCAL_LIMIT = 256;

/** Bun asks for this stack for its threads with PT_GNU_STACK; musl takes it from there. */
const STACK_HEADER = { type: SegmentType.stack, offset: 0, address: 0, fileSize: 0, alignment: 0 };

interface Placement {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The bytes of the static executable. Every assumption that does not hold is an error. */
export function relink(program: ElfFile, blob: ElfFile, architecture: Architecture): Buffer {
  checkRuntime(program, architecture);
  if (blob.type !== ET_EXEC || blob.machine !== architecture.machine) {
    throw new Error(`"${blob.path}" is not a static ${architecture.name} program.`);
  }
  checkThreadLocal(program, blob, architecture);
  const image = Buffer.from(program.bytes);
  bindImports(image, program, blob, architecture);
  const { segments, placements, size } = placeSegments(program, blob, architecture);
  const result = Buffer.alloc(size);
  image.copy(result);
  for (const { offset, bytes } of placements) bytes.copy(result, offset);
  removeDynamicLinking(result, program);
  writeProgramHeaders(result, program, segments);
  return result;
}

/** Bun's code holds fixed distances to the thread pointer, so its block must lie where it did. */
function checkThreadLocal(program: ElfFile, blob: ElfFile, architecture: Architecture): void {
  const own = program.segment(SegmentType.threadLocal);
  const all = blob.segment(SegmentType.threadLocal);
  const start = symbolOf(blob.symbols(), THREAD_LOCAL_SYMBOL, blob.path).value;
  const { size, alignment } = threadLocalLayout(program);
  if (alignment !== all.alignment || own.alignment > all.alignment) {
    throw new Error(
      `The core's thread-local data is aligned to ${all.alignment}, not ${alignment}.`,
    );
  }
  if (architecture.threadLocalBlock === "last") {
    const isLast = start + alignUp(own.memorySize, own.alignment) === all.memorySize;
    if (!isLast || all.memorySize % alignment !== 0) {
      throw new Error("Bun's thread-local block does not end at the thread pointer.");
    }
  } else if (start !== 0 || alignUp(16, all.alignment) !== alignUp(16, own.alignment)) {
    throw new Error("Bun's thread-local block does not begin at the thread pointer.");
  }
  if (all.memorySize > size + EXTRA_THREAD_LOCAL_LIMIT) {
    throw new Error(
      `The core adds ${all.memorySize - size} bytes to the thread-local data of every thread; ` +
        `at most ${EXTRA_THREAD_LOCAL_LIMIT} are allowed.`,
    );
  }
}

function bindImports(
  image: Buffer,
  program: ElfFile,
  blob: ElfFile,
  { relocation, threadLocalBlock }: Architecture,
): void {
  const addresses = importAddresses(program, blob);
  const blobSymbols = blob.symbols();
  const threadLocal = blob.segment(SegmentType.threadLocal);
  const threadOffset = (name: string): number => {
    const symbol = symbolOf(blobSymbols, name, blob.path);
    if (!symbol.isThreadLocal) throw new Error(`"${name}" is not thread-local in the core.`);
    return threadLocalBlock === "last"
      ? symbol.value - threadLocal.memorySize
      : symbol.value + alignUp(16, threadLocal.alignment);
  };
  for (const { target, type, symbol, addend } of program.relocations()) {
    if (type === relocation.copy) continue;
    const isThreadOffset = type === relocation.threadOffset;
    const value = symbol.isUndefined ? addresses.get(symbol.name) : symbol.value;
    const bound = isThreadOffset ? threadOffset(symbol.name) : value;
    if (bound === undefined || (bound === 0 && !symbol.isWeak)) {
      throw new Error(`Bun imports "${symbol.name}", which the static libraries do not have.`);
    }
    image.writeBigInt64LE(BigInt(bound + addend), program.offsetOf(target));
  }
}

function importAddresses(program: ElfFile, blob: ElfFile): ReadonlyMap<string, number> {
  const { offset, size } = blob.section(IMPORT_SECTION);
  const imports = importsOf(program);
  if (size !== imports.length * 8) {
    throw new Error(`The core was linked for ${size / 8} imports, Bun has ${imports.length}.`);
  }
  return new Map(imports.map(({ name }, index) => [name, blob.word(offset + index * 8)]));
}

function symbolOf(symbols: ReadonlyMap<string, ElfSymbol>, name: string, path: string): ElfSymbol {
  const symbol = symbols.get(name);
  if (symbol === undefined) throw new Error(`"${path}" has no symbol "${name}".`);
  return symbol;
}

function placeSegments(
  program: ElfFile,
  blob: ElfFile,
  { pageSize }: Architecture,
): { segments: Segment[]; placements: Placement[]; size: number } {
  const threadLocal = blob.segment(SegmentType.threadLocal);
  const loads = program.segments.filter(({ type }) => type === SegmentType.load);
  const placements: Placement[] = [];
  let size = program.bytes.length;
  let threadLocalOffset: number | undefined;
  for (const segment of blob.segments.filter(({ type }) => type === SegmentType.load)) {
    if (segment.address % pageSize !== 0) {
      throw new Error(`"${blob.path}" has a segment that does not begin on a page.`);
    }
    const offset = alignUp(size, pageSize);
    const bytes = blob.bytes.subarray(segment.offset, segment.offset + segment.fileSize);
    placements.push({ offset, bytes });
    loads.push({ ...segment, offset, alignment: pageSize });
    size = offset + segment.fileSize;
    if (threadLocal.address >= segment.address) {
      threadLocalOffset = offset + threadLocal.address - segment.address;
    }
  }
  if (threadLocalOffset === undefined) throw new Error(`"${blob.path}" has no thread-local data.`);
  loads.sort((left, right) => left.address - right.address);
  checkLoads(loads);
  const rest = [{ ...threadLocal, offset: threadLocalOffset }];
  return { segments: [...loads, ...rest], placements, size };
}

function checkLoads(loads: readonly Segment[]): void {
  let end = 0;
  for (const { address, memorySize, flags } of loads) {
    if (address < end) {
      throw new Error(`Two segments of the program overlap at 0x${address.toString(16)}.`);
    }
    end = address + memorySize;
    if ((flags & SegmentFlag.write) !== 0 && (flags & SegmentFlag.execute) !== 0) {
      throw new Error(`The segment at 0x${address.toString(16)} is writable and executable.`);
    }
  }
}

/**
 * Clears the loader's tables and the section headers. Without section headers `strip` refuses the
 * file; with Bun's own ones, which do not cover the blob, it would silently drop the core.
 */
function removeDynamicLinking(result: Buffer, program: ElfFile): void {
  const dynamic = program.segment(SegmentType.dynamic);
  result.fill(0, dynamic.offset, dynamic.offset + dynamic.fileSize);
  result.fill(0, FILE_HEADER_SIZE, loaderTablesEnd(program));
  result.writeBigUInt64LE(0n, 40);
  result.fill(0, 58, FILE_HEADER_SIZE);
}

/** The tables that only a loader reads lie between the file header and this offset. */
function loaderTablesEnd(program: ElfFile): number {
  const { offset, size } = program.section(".rela.plt");
  return offset + size;
}

function writeProgramHeaders(result: Buffer, program: ElfFile, segments: readonly Segment[]): void {
  const frames = program.segment(SegmentType.exceptionFrameHeader);
  const { memorySize, flags } = program.segment(SegmentType.stack);
  const headers = [...segments, frames, { ...STACK_HEADER, memorySize, flags }];
  const size = (headers.length + 1) * PROGRAM_HEADER_SIZE;
  const first = segments[0];
  if (first === undefined || first.offset !== 0) {
    throw new Error("The first segment of the program does not hold its program headers.");
  }
  if (FILE_HEADER_SIZE + size > loaderTablesEnd(program)) {
    throw new Error("There is no room for the program headers.");
  }
  const table: Segment = {
    type: SegmentType.programHeaders,
    flags: SegmentFlag.read,
    offset: FILE_HEADER_SIZE,
    address: first.address + FILE_HEADER_SIZE,
    fileSize: size,
    memorySize: size,
    alignment: 8,
  };
  [table, ...headers].forEach((header, index) => {
    writeSegment(result, FILE_HEADER_SIZE + index * PROGRAM_HEADER_SIZE, header);
  });
  result.writeBigUInt64LE(BigInt(FILE_HEADER_SIZE), 32);
  result.writeUInt16LE(headers.length + 1, 56);
}

function writeSegment(result: Buffer, at: number, segment: Segment): void {
  result.writeUInt32LE(segment.type, at);
  result.writeUInt32LE(segment.flags, at + 4);
  const { offset, address, fileSize, memorySize, alignment } = segment;
  [offset, address, address, fileSize, memorySize, alignment].forEach((value, index) => {
    result.writeBigUInt64LE(BigInt(value), at + 8 + index * 8);
  });
}
