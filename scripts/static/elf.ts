// Reads 64-bit little-endian ELF files: headers, segments, sections, symbols and relocations.
// Names and numbers are those of the System V ABI, chapters 4 and 5, and its processor supplements.

/** `e_type` of a program that is linked for one fixed address. */
export const ET_EXEC = 2;

/** Values of `p_type` that matter here. */
export const SegmentType = {
  load: 1,
  dynamic: 2,
  interpreter: 3,
  programHeaders: 6,
  threadLocal: 7,
  exceptionFrameHeader: 0x6474e550,
  stack: 0x6474e551,
} as const;

/** Bits of `p_flags`. */
export const SegmentFlag = { execute: 1, write: 2, read: 4 } as const;

/** Values of `d_tag` that matter here. */
export const DynamicTag = {
  pltRelocationsSize: 2,
  hash: 4,
  stringTable: 5,
  symbolTable: 6,
  relocations: 7,
  relocationsSize: 8,
  init: 12,
  fini: 13,
  pltRelocations: 23,
  initArray: 25,
  finiArray: 26,
  initArraySize: 27,
  finiArraySize: 28,
} as const;

export const FILE_HEADER_SIZE = 64;
export const PROGRAM_HEADER_SIZE = 56;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 24;

/** A program header; sizes and addresses in bytes. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly value: number;
  readonly size: number;
  readonly isWeak: boolean;
  readonly isThreadLocal: boolean;
  readonly isUndefined: boolean;
}

/** A relocation with addend; `target` is the address of the place to change. */
export interface Relocation {
  readonly target: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
  readonly addend: number;
}

/** One ELF file in memory. */
export class ElfFile {
  readonly type: number;
  readonly machine: number;
  readonly entry: number;
  readonly segments: readonly Segment[];
  readonly sections: readonly Section[];

  /** Parses `bytes`; `path` only names the file in errors. */
  constructor(
    readonly bytes: Buffer,
    readonly path: string,
  ) {
    const isElf = bytes.length > FILE_HEADER_SIZE && bytes.readUInt32BE(0) === 0x7f454c46;
    if (!isElf || bytes[4] !== 2 || bytes[5] !== 1) {
      throw new Error(`"${path}" is not a 64-bit little-endian ELF file.`);
    }
    this.type = bytes.readUInt16LE(16);
    this.machine = bytes.readUInt16LE(18);
    this.entry = this.word(24);
    this.segments = this.readSegments();
    this.sections = this.readSections();
  }

  /** The 64-bit word at a file offset; all values of interest are below 2^53. */
  word(offset: number): number {
    return Number(this.bytes.readBigUInt64LE(offset));
  }

  /** The only segment of a type; an error when there is none. */
  segment(type: number): Segment {
    const found = this.segments.find((segment) => segment.type === type);
    if (found === undefined) throw new Error(`"${this.path}" has no segment of type ${type}.`);
    return found;
  }

  /** The section of a name; an error when there is none. */
  section(name: string): Section {
    const found = this.sections.find((section) => section.name === name);
    if (found === undefined) throw new Error(`"${this.path}" has no section "${name}".`);
    return found;
  }

  /** The file offset of an address that the file fills; an error for any other address. */
  offsetOf(address: number): number {
    for (const { type, address: start, fileSize, offset } of this.segments) {
      if (type === SegmentType.load && address >= start && address < start + fileSize) {
        return offset + (address - start);
      }
    }
    throw new Error(`"${this.path}" holds no bytes for address 0x${address.toString(16)}.`);
  }

  /** The dynamic section as tag to value. */
  dynamic(): ReadonlyMap<number, number> {
    const { offset, fileSize } = this.segment(SegmentType.dynamic);
    const entries = new Map<number, number>();
    for (let at = offset; at < offset + fileSize && this.word(at) !== 0; at += 16) {
      entries.set(this.word(at), this.word(at + 8));
    }
    return entries;
  }

  /** The dynamic symbol table in file order, with its null entry first. */
  dynamicSymbols(): readonly ElfSymbol[] {
    const dynamic = this.dynamic();
    const hash = this.offsetOf(required(dynamic, DynamicTag.hash, this.path));
    const count = this.bytes.readUInt32LE(hash + 4);
    const table = this.offsetOf(required(dynamic, DynamicTag.symbolTable, this.path));
    const strings = this.offsetOf(required(dynamic, DynamicTag.stringTable, this.path));
    return this.readSymbols(table, count, strings);
  }

  /** The full symbol table by name. */
  symbols(): ReadonlyMap<string, ElfSymbol> {
    const { offset, size, link } = this.section(".symtab");
    const strings = this.sections[link];
    if (strings === undefined) throw new Error(`"${this.path}" has no names for its symbols.`);
    const symbols = this.readSymbols(offset, size / SYMBOL_SIZE, strings.offset);
    return new Map(symbols.map((symbol) => [symbol.name, symbol]));
  }

  /** Every dynamic relocation: DT_RELA, then DT_JMPREL. */
  relocations(): readonly Relocation[] {
    const dynamic = this.dynamic();
    const symbols = this.dynamicSymbols();
    const tables = [
      [DynamicTag.relocations, DynamicTag.relocationsSize],
      [DynamicTag.pltRelocations, DynamicTag.pltRelocationsSize],
    ] as const;
    return tables.flatMap(([table, size]) =>
      this.readRelocations(
        this.offsetOf(required(dynamic, table, this.path)),
        required(dynamic, size, this.path),
        symbols,
      ),
    );
  }

  private readSegments(): Segment[] {
    const start = this.word(32);
    return Array.from({ length: this.bytes.readUInt16LE(56) }, (_, index) => {
      const at = start + index * PROGRAM_HEADER_SIZE;
      return {
        type: this.bytes.readUInt32LE(at),
        flags: this.bytes.readUInt32LE(at + 4),
        offset: this.word(at + 8),
        address: this.word(at + 16),
        fileSize: this.word(at + 32),
        memorySize: this.word(at + 40),
        alignment: this.word(at + 48),
      };
    });
  }

  private readSections(): Section[] {
    const start = this.word(40);
    const count = this.bytes.readUInt16LE(60);
    if (count === 0) return [];
    const names = this.word(start + this.bytes.readUInt16LE(62) * SECTION_HEADER_SIZE + 24);
    return Array.from({ length: count }, (_, index) => {
      const at = start + index * SECTION_HEADER_SIZE;
      return {
        name: this.text(names + this.bytes.readUInt32LE(at)),
        type: this.bytes.readUInt32LE(at + 4),
        address: this.word(at + 16),
        offset: this.word(at + 24),
        size: this.word(at + 32),
        link: this.bytes.readUInt32LE(at + 40),
      };
    });
  }

  private readSymbols(table: number, count: number, strings: number): ElfSymbol[] {
    return Array.from({ length: count }, (_, index) => {
      const at = table + index * SYMBOL_SIZE;
      const info = this.bytes.readUInt8(at + 4);
      return {
        name: this.text(strings + this.bytes.readUInt32LE(at)),
        value: this.word(at + 8),
        size: this.word(at + 16),
        isWeak: info >> 4 === 2,
        isThreadLocal: (info & 15) === 6,
        isUndefined: this.bytes.readUInt16LE(at + 6) === 0,
      };
    });
  }

  private readRelocations(
    table: number,
    size: number,
    symbols: readonly ElfSymbol[],
  ): Relocation[] {
    return Array.from({ length: size / RELOCATION_SIZE }, (_, index) => {
      const at = table + index * RELOCATION_SIZE;
      const number = this.bytes.readUInt32LE(at + 12);
      const symbol = symbols[number];
      if (symbol === undefined) throw new Error(`"${this.path}" has no symbol ${number}.`);
      return {
        target: this.word(at),
        type: this.bytes.readUInt32LE(at + 8),
        symbol,
        addend: Number(this.bytes.readBigInt64LE(at + 16)),
      };
    });
  }

  private text(offset: number): string {
    return this.bytes.toString("latin1", offset, this.bytes.indexOf(0, offset));
  }
}

/** The value of a dynamic tag; an error when the file lacks it. */
export function required(dynamic: ReadonlyMap<number, number>, tag: number, path: string): number {
  const value = dynamic.get(tag);
  if (value === undefined) throw new Error(`"${path}" has no dynamic entry with tag ${tag}.`);
  return value;
}

/** The smallest multiple of `alignment` that is not below `value`. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
