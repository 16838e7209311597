// Tiny kernels made here: one that ends its machine with its first instruction, one that idles.
// Each as a flat binary and as an ELF with a PVH note, which is what QEMU's microvm loads.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Payload {
  readonly flat: string;
  readonly elf: string;
}

export interface Payloads {
  /** Faults with no handler at its entry: a triple fault. */
  readonly ending: Payload;
  /** Halts with interrupts off, for ever. */
  readonly idle: Payload;
}

const instructions = {
  ending: [0x0f, 0x0b], // ud2
  idle: [0xfa, 0xf4, 0xeb, 0xfd], // cli; hlt; jmp to the hlt
} as const;
const nop = 0x90;
const pageSize = 4096;
const loadAddress = 0x10_0000;
const headerSize = 64;
const programHeaderSize = 56;
/** XEN_ELFNOTE_PHYS32_ENTRY: Xen's public elfnote.h. */
const pvhNoteType = 18;

/** Writes the payloads into `folder`. */
export function writePayloads(folder: string): Payloads {
  mkdirSync(folder, { recursive: true });
  const write = (name: keyof typeof instructions): Payload => {
    const code = new Uint8Array(pageSize).fill(nop);
    code.set(instructions[name]);
    const payload = { flat: join(folder, `${name}.bin`), elf: join(folder, `${name}.elf`) };
    writeFileSync(payload.flat, code);
    writeFileSync(payload.elf, elfWithNote(code));
    return payload;
  };
  return { ending: write("ending"), idle: write("idle") };
}

/** An ELF-64 of two program headers: the code at 1 MiB, and the note that names its entry. */
function elfWithNote(code: Uint8Array): Uint8Array {
  const file = new Uint8Array(pageSize + code.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  put16(view, 16, [2, 62]); // ET_EXEC, EM_X86_64
  view.setUint32(20, 1, true);
  put64(view, 24, [loadAddress, headerSize, 0]);
  put16(view, 52, [headerSize, programHeaderSize, 2, 0, 0, 0]);
  const noteOffset = headerSize + 2 * programHeaderSize;
  const note = new TextEncoder().encode("Xen\0");
  programHeader(view, headerSize, {
    kind: { type: 1, flags: 7 }, // PT_LOAD
    ...{ offset: pageSize, address: loadAddress, size: code.length, alignment: pageSize },
  });
  programHeader(view, headerSize + programHeaderSize, {
    kind: { type: 4, flags: 4 }, // PT_NOTE
    ...{ offset: noteOffset, address: 0, size: 24, alignment: 4 },
  });
  [note.length, 8, pvhNoteType].forEach((value, index) => {
    view.setUint32(noteOffset + 4 * index, value, true);
  });
  file.set(note, noteOffset + 12);
  put64(view, noteOffset + 16, [loadAddress]);
  file.set(code, pageSize);
  return file;
}

interface ProgramHeader {
  readonly kind: { readonly type: number; readonly flags: number };
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly alignment: number;
}

function programHeader(view: DataView, at: number, header: ProgramHeader): void {
  view.setUint32(at, header.kind.type, true);
  view.setUint32(at + 4, header.kind.flags, true);
  const { offset, address, size, alignment } = header;
  put64(view, at + 8, [offset, address, address, size, size, alignment]);
}

function put16(view: DataView, at: number, values: readonly number[]): void {
  for (const [index, value] of values.entries()) view.setUint16(at + 2 * index, value, true);
}

function put64(view: DataView, at: number, values: readonly number[]): void {
  for (const [index, value] of values.entries()) {
    view.setBigUint64(at + 8 * index, BigInt(value), true);
  }
}
