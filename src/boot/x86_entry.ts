// The state in which a direct boot enters the kernel: descriptor tables, page tables, registers.

import type { MemoryBlob } from "../firmware/byte_writer.ts";
import type { EntryState, Segment } from "./plan.ts";

const GDT_ADDRESS = 0x500;
const GDT_SIZE = 0x20;
const IDT_ADDRESS = 0x520;
const IDT_SIZE = 8;
const STACK_TOP = 0x8ff0;
const PML4_ADDRESS = 0x9000;
const PDPT_ADDRESS = 0xa000;
const PAGE_DIRECTORY_ADDRESS = 0xb000;
const PAGE_DIRECTORY_COUNT = 4;
const PAGE_SIZE = 0x1000;
const LARGE_PAGE_SIZE = 2 ** 21;

/** Selectors that the 64-bit boot protocol asks for: __BOOT_CS and __BOOT_DS (boot.rst). */
const CODE_SELECTOR = 0x10;
const DATA_SELECTOR = 0x18;

const CR0 = { protectedMode: 1, extensionType: 1 << 4, paging: 2 ** 31 } as const;
const CR4_PAE = 1 << 5;
const EFER = { longModeEnable: 1 << 8, longModeActive: 1 << 10 } as const;
/** Bit 1 of RFLAGS always reads as one. */
const RFLAGS = 2;
const PAGE = { present: 1, writable: 2, large: 0x80 } as const;

const FLAT = { base: 0, limit: 0xffff_ffff, present: 1, dpl: 0, s: 1, g: 1 } as const;
const CODE_TYPE = 11;
const DATA_TYPE = 3;
const BUSY_TSS_TYPE = 11;
const CODE_64: Segment = { ...FLAT, selector: CODE_SELECTOR, type: CODE_TYPE, db: 0, l: 1 };
const CODE_32: Segment = { ...FLAT, selector: CODE_SELECTOR, type: CODE_TYPE, db: 1, l: 0 };
const DATA: Segment = { ...FLAT, selector: DATA_SELECTOR, type: DATA_TYPE, db: 1, l: 0 };
/** Only its hidden part exists: entering guest mode asks for a valid task register. */
const TASK: Segment = {
  selector: 0,
  base: 0,
  limit: 0x67,
  type: BUSY_TSS_TYPE,
  present: 1,
  dpl: 0,
  db: 0,
  s: 0,
  l: 0,
  g: 0,
};

/** Registers and the memory they point to. */
export interface Entry {
  readonly state: EntryState;
  readonly blobs: readonly MemoryBlob[];
  /** Memory the kernel finds its stack in. */
  readonly stackTop: number;
}

/** 64-bit mode with the first 4 GiB mapped to themselves, RSI at the zero page (boot.rst). */
export function longModeEntry(rip: number, zeroPage: number): Entry {
  return {
    stackTop: STACK_TOP,
    blobs: [...descriptorTables(CODE_64), pageTables()],
    state: {
      ...commonState(rip),
      mode: "long64",
      rbx: 0,
      rsi: zeroPage,
      cr0: CR0.protectedMode + CR0.extensionType + CR0.paging,
      cr3: PML4_ADDRESS,
      cr4: CR4_PAE,
      efer: EFER.longModeEnable | EFER.longModeActive,
      code: CODE_64,
    },
  };
}

/** 32-bit protected mode without paging, EBX at the start info (Xen docs/misc/pvh.pandoc). */
export function pvhEntry(rip: number, startInfo: number): Entry {
  return {
    stackTop: STACK_TOP,
    blobs: descriptorTables(CODE_32),
    state: {
      ...commonState(rip),
      mode: "pvh32",
      rbx: startInfo,
      rsi: 0,
      cr0: CR0.protectedMode + CR0.extensionType,
      cr3: 0,
      cr4: 0,
      efer: 0,
      code: CODE_32,
    },
  };
}

function commonState(
  rip: number,
): Pick<EntryState, "rip" | "rsp" | "rflags" | "gdt" | "idt" | "data" | "task"> {
  return {
    rip,
    rsp: STACK_TOP,
    rflags: RFLAGS,
    gdt: { base: GDT_ADDRESS, limit: GDT_SIZE - 1 },
    idt: { base: IDT_ADDRESS, limit: IDT_SIZE - 1 },
    data: DATA,
    task: TASK,
  };
}

function descriptorTables(code: Segment): MemoryBlob[] {
  const gdt = new DataView(new ArrayBuffer(GDT_SIZE));
  gdt.setBigUint64(code.selector, descriptorOf(code), true);
  gdt.setBigUint64(DATA.selector, descriptorOf(DATA), true);
  return [
    { name: "GDT", address: GDT_ADDRESS, bytes: new Uint8Array(gdt.buffer) },
    { name: "IDT", address: IDT_ADDRESS, bytes: new Uint8Array(IDT_SIZE) },
  ];
}

/** A flat segment as its 8-byte descriptor (Intel SDM volume 3, section 3.4.5). */
function descriptorOf(segment: Segment): bigint {
  const access = segment.type | (segment.s << 4) | (segment.dpl << 5) | (segment.present << 7);
  const flags = (segment.l << 1) | (segment.db << 2) | (segment.g << 3);
  return 0x000f_0000_0000_ffffn | (BigInt(access) << 40n) | (BigInt(flags) << 52n);
}

/** PML4, one PDPT and four directories of 2 MiB pages, one after the other. */
function pageTables(): MemoryBlob {
  const size = PAGE_DIRECTORY_ADDRESS + PAGE_DIRECTORY_COUNT * PAGE_SIZE - PML4_ADDRESS;
  const tables = new DataView(new ArrayBuffer(size));
  // Every address is below 4 GiB: the upper half of each entry stays zero.
  const setEntry = (address: number, value: number): void =>
    tables.setUint32(address - PML4_ADDRESS, value, true);
  const table = PAGE.present | PAGE.writable;
  setEntry(PML4_ADDRESS, PDPT_ADDRESS + table);
  for (let index = 0; index < PAGE_DIRECTORY_COUNT; index += 1) {
    setEntry(PDPT_ADDRESS + index * 8, PAGE_DIRECTORY_ADDRESS + index * PAGE_SIZE + table);
  }
  const pageCount = PAGE_DIRECTORY_COUNT * 512;
  for (let index = 0; index < pageCount; index += 1) {
    const page = index * LARGE_PAGE_SIZE + PAGE.large + table;
    setEntry(PAGE_DIRECTORY_ADDRESS + index * 8, page);
  }
  return { name: "page tables", address: PML4_ADDRESS, bytes: new Uint8Array(tables.buffer) };
}
