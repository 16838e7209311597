// The forms of one kernel that a machine can be given: Debian's bzImage, the ELF in it, that ELF
// without its PVH note, and a gzip'd file.

import { join } from "node:path";
import type { GuestImages } from "../../scripts/guest/images.ts";
import { cachePath } from "../../scripts/lib/paths.ts";
import { publish } from "../../scripts/lib/publish.ts";

export interface Kernels {
  readonly bzImage: string;
  /** With a PVH note: entered in 32-bit mode. */
  readonly vmlinux: string;
  /** The same without the note: entered in 64-bit mode. */
  readonly vmlinuxWithoutNote: string;
  readonly gzip: string;
}

const programHeader = { tableOffset: 0x20, entrySize: 0x36, count: 0x38 } as const;
const typeNull = 0;
const typeNote = 4;
const gzipLevel = 1;

/** Makes the forms that Debian does not pack, once. */
export async function makeKernels(images: GuestImages): Promise<Kernels> {
  const folder = cachePath("guest");
  const { kernel, vmlinux, release } = images;
  const vmlinuxWithoutNote = await publish(join(folder, `vmlinux-64-${release}`), async (path) => {
    await Bun.write(path, withoutNotes(await Bun.file(vmlinux).bytes()));
  });
  const gzip = await publish(join(folder, `vmlinuz-${release}.gz`), async (path) => {
    await Bun.write(path, Bun.gzipSync(await Bun.file(kernel).bytes(), { level: gzipLevel }));
  });
  return { bzImage: kernel, vmlinux, vmlinuxWithoutNote, gzip };
}

/** Turns PT_NOTE program headers into PT_NULL (ELF-64 Object File Format, "Program header"). */
function withoutNotes(elf: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const copy = elf.slice();
  const view = new DataView(copy.buffer);
  const start = Number(view.getBigUint64(programHeader.tableOffset, true));
  const size = view.getUint16(programHeader.entrySize, true);
  const count = view.getUint16(programHeader.count, true);
  for (let index = 0; index < count; index += 1) {
    const header = start + index * size;
    if (view.getUint32(header, true) === typeNote) view.setUint32(header, typeNull, true);
  }
  return copy;
}
