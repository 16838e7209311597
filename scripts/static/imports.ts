// Turns the dynamic imports of Bun's musl build into the two inputs of a static link: an assembly
// file that pulls every imported symbol out of the libraries, and the linker script of the blob.

import type { Architecture } from "./architecture.ts";
import {
  alignUp,
  DynamicTag,
  type ElfFile,
  type ElfSymbol,
  ET_EXEC,
  required,
  SegmentType,
} from "./elf.ts";

/** Where the blob is linked: above everything that Bun's own image can occupy. */
const BLOB_ADDRESS = 0x1000_0000;

/** The section of the blob that holds the resolved address of each import, in import order. */
export const IMPORT_SECTION = ".runtime_imports";

/** The symbol at the start of Bun's thread-local block inside the blob. */
export const THREAD_LOCAL_SYMBOL = "runtime_thread_local";

const TYPE_INFO_PREFIX = "_ZTVN10__cxxabiv1";
const TYPE_INFO_TABLES = [
  `${TYPE_INFO_PREFIX}17__class_type_infoE`,
  `${TYPE_INFO_PREFIX}20__si_class_type_infoE`,
  `${TYPE_INFO_PREFIX}21__vmi_class_type_infoE`,
];

/** Symbols whose addresses the link has to supply, in the order of Bun's symbol table. */
export function importsOf(bun: ElfFile): readonly ElfSymbol[] {
  return bun.dynamicSymbols().filter((symbol) => symbol.isUndefined && symbol.name !== "");
}

/** Fails with one sentence when the file is not the kind of program that can be rebound. */
export function checkRuntime(bun: ElfFile, architecture: Architecture): void {
  if (bun.machine !== architecture.machine) {
    throw new Error(`"${bun.path}" is for machine ${bun.machine}, not ${architecture.name}.`);
  }
  if (bun.type !== ET_EXEC) {
    throw new Error(`"${bun.path}" is position independent (type ${bun.type}), expected ET_EXEC.`);
  }
  const known = new Set(Object.values(architecture.relocation));
  const odd = bun.relocations().find(({ type }) => !known.has(type));
  if (odd !== undefined) {
    throw new Error(`"${bun.path}" needs relocation type ${odd.type}, which is not known here.`);
  }
  const end = Math.max(...bun.segments.map(({ address, memorySize }) => address + memorySize));
  if (end > BLOB_ADDRESS) {
    throw new Error(`"${bun.path}" reaches 0x${end.toString(16)}, where the core is to be placed.`);
  }
}

/** Bun's thread-local block as it lies in the blob: rounded to suit the thread pointer. */
export function threadLocalLayout(bun: ElfFile): { size: number; alignment: number } {
  const { memorySize, alignment } = bun.segment(SegmentType.threadLocal);
  const common = Math.max(16, alignment);
  return { size: alignUp(memorySize, common), alignment: common };
}

/** The assembly source; `threadLocalImage` is the path of a file with the block's first bytes. */
export function assemblyFor(
  bun: ElfFile,
  architecture: Architecture,
  threadLocalImage: string,
): string {
  const { fileSize } = bun.segment(SegmentType.threadLocal);
  const layout = threadLocalLayout(bun);
  return [
    `.section ${IMPORT_SECTION},"a",%progbits`,
    ".balign 8",
    ".globl runtime_imports",
    "runtime_imports:",
    ...importLines(bun, architecture),
    `.section .data.rel.ro.runtime_image,"aw",%progbits`,
    ".balign 8",
    ".globl runtime_image",
    "runtime_image:",
    ...imageLines(bun, architecture),
    `.section .runtime_thread_local,"awT",%progbits`,
    `.balign ${layout.alignment}`,
    `.globl ${THREAD_LOCAL_SYMBOL}`,
    `${THREAD_LOCAL_SYMBOL}:`,
    `.incbin ${JSON.stringify(threadLocalImage)}`,
    `.zero ${layout.size - fileSize}`,
    `.section .note.GNU-stack,"",%progbits`,
    "",
  ].join("\n");
}

function importLines(bun: ElfFile, architecture: Architecture): string[] {
  const threadLocal = new Set(threadLocalImports(bun, architecture));
  return importsOf(bun).map(({ name, isWeak }) => {
    if (threadLocal.has(name)) return ".quad 0";
    return isWeak ? `.weak ${name}\n.quad ${name}` : `.quad ${name}`;
  });
}

function threadLocalImports(bun: ElfFile, { relocation }: Architecture): string[] {
  return bun
    .relocations()
    .filter(({ type }) => type === relocation.threadOffset)
    .map(({ symbol }) => symbol.name);
}

/** The objects that Bun keeps in its own image and fills from a library: name to symbol. */
function copiedObjects(bun: ElfFile, { relocation }: Architecture): Map<string, ElfSymbol> {
  const copies = bun.relocations().filter(({ type }) => type === relocation.copy);
  return new Map(copies.map(({ symbol }) => [symbol.name, symbol]));
}

/** The fields of `RuntimeImage` in zig/static/image.zig, then the copies, ended by a null one. */
function imageLines(bun: ElfFile, architecture: Architecture): string[] {
  const dynamic = bun.dynamic();
  const value = (tag: number) => required(dynamic, tag, bun.path);
  const copied = copiedObjects(bun, architecture);
  const tables = TYPE_INFO_TABLES.map((name) => {
    const table = copied.get(name);
    if (table === undefined) throw new Error(`"${bun.path}" has no copy of "${name}".`);
    return table.value;
  });
  const fields = [
    value(DynamicTag.init),
    value(DynamicTag.fini),
    value(DynamicTag.initArray),
    value(DynamicTag.initArraySize) / 8,
    value(DynamicTag.finiArray),
    value(DynamicTag.finiArraySize) / 8,
    bun.section(".dynamic").address,
    bun.section(".bss").address,
    ...tables,
  ];
  const copies = [...copied.values()].filter(
    ({ name }) => name !== "environ" && !name.startsWith(TYPE_INFO_PREFIX),
  );
  return [
    ...fields.map((field) => `.quad ${field}`),
    ...copies.map(({ name, value, size }) => `.quad ${value}, ${name}, ${size}`),
    ".quad 0, 0, 0",
  ];
}

/**
 * The linker script. libc's `environ` is placed on Bun's copy of it so that both see one value, and
 * the thread-local blocks are ordered so that Bun's keeps its distance from the thread pointer.
 */
export function linkerScriptFor(bun: ElfFile, architecture: Architecture): string {
  const environ = copiedObjects(bun, architecture).get("environ");
  if (environ === undefined) throw new Error(`"${bun.path}" has no copy of "environ".`);
  const page = `. = ALIGN(${architecture.pageSize});`;
  const own = "*(.tdata .tdata.*) *(.tbss .tbss.*)";
  const runtime = "KEEP(*(.runtime_thread_local))";
  const blocks =
    architecture.threadLocalBlock === "last" ? `${own} ${runtime}` : `${runtime} ${own}`;
  return `
__environ = ${environ.value};
environ = __environ; _environ = __environ; ___environ = __environ;
main = 0;
EXTERN(${threadLocalImports(bun, architecture).join(" ")})
ENTRY(runtime_imports)
PHDRS {
  r PT_LOAD FLAGS(4); x PT_LOAD FLAGS(5); w PT_LOAD FLAGS(6);
  tls PT_TLS FLAGS(4);
}
SECTIONS {
  . = ${BLOB_ADDRESS};
  ${IMPORT_SECTION} : { KEEP(*(${IMPORT_SECTION})) } :r
  .rodata : { *(.rodata .rodata.*) *(.gcc_except_table .gcc_except_table.*) } :r
  .eh_frame_hdr : { *(.eh_frame_hdr) } :r
  .eh_frame : { KEEP(*(.eh_frame)) } :r
  ${page}
  .init : { KEEP(*(.init)) } :x
  .text : { *(.text .text.*) } :x
  .fini : { KEEP(*(.fini)) } :x
  ${page}
  .tdata : { ${blocks} } :w :tls
  .init_array : { ${arraySection("init_array")} } :w
  .fini_array : { ${arraySection("fini_array")} } :w
  .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) } :w
  .got : { *(.got .got.plt) } :w
  .data : { *(.data .data.*) } :w
  .bss : { *(.bss .bss.* COMMON) } :w
  _end = .;
  /DISCARD/ : { *(.comment) *(.note.*) }
}
`;
}

function arraySection(name: string): string {
  const sorted = `KEEP(*(SORT_BY_INIT_PRIORITY(.${name}.*)))`;
  return `__${name}_start = .; ${sorted} KEEP(*(.${name})) __${name}_end = .;`;
}
