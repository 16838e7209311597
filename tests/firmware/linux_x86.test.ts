// Boot plans: where the parts of a kernel go, what the kernel is told and how it is entered.

import { expect, test } from "bun:test";
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { addVirtioMmioDevices } from "../../src/boot/command_line.ts";
import { type LinuxBootDescription, planLinuxBoot } from "../../src/boot/linux_x86.ts";
import type { BootFile, BootPlan } from "../../src/boot/plan.ts";
import { buildE820 } from "../../src/firmware/e820.ts";
import {
  bzImageBytes,
  CODE_SEGMENT,
  elfBytes,
  fileOf,
  flatBytes,
  NOTE_SEGMENT,
} from "./kernel_files.ts";

const MEBIBYTE = 2 ** 20;

function memoryOf(size: number) {
  return { size, gapStart: 3 * 2 ** 30, gapEnd: 4 * 2 ** 30 };
}

function plan(bytes: Uint8Array, changes: Partial<LinuxBootDescription> = {}): BootPlan {
  const memory = changes.memory ?? memoryOf(128 * MEBIBYTE);
  return planLinuxBoot({
    kernel: fileOf("k", bytes),
    commandLine: "console=ttyS0",
    memory,
    e820: buildE820({ memory, ebdaStart: 0x9_fc00, firmwareStart: 0xd_0000 }),
    firmware: [],
    ...changes,
  });
}

function blob(bootPlan: BootPlan, name: string): DataView {
  const bytes = bootPlan.blobs.find((each) => each.name === name)?.bytes ?? new Uint8Array(0);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function sizedFile(path: string, size: number): BootFile {
  return { path, size, read: () => new Uint8Array(0) };
}

test("A bzImage's code is loaded at 1 MiB and entered 0x200 behind, in 64-bit mode", () => {
  const bootPlan = plan(bzImageBytes());
  expect(bootPlan.fileLoads).toEqual([
    { source: "kernel", address: 0x10_0000, fileOffset: 1536, size: 2048 },
  ]);
  const { cr0, cr3, cr4, efer, mode, rbx, rip, rsi, rsp } = bootPlan.entry;
  expect({ cr0, cr3, cr4, efer, mode, rbx, rip, rsi, rsp }).toEqual({
    mode: "long64",
    rip: 0x10_0200,
    rsp: 0x8ff0,
    rbx: 0,
    rsi: 0x7000,
    cr0: 0x8000_0011,
    cr3: 0x9000,
    cr4: 0x20,
    efer: 0x500,
  });
});

test("The zero page holds setup header, command line, memory map, initrd and RSDP", () => {
  const initrd = sizedFile("i", 5000);
  const bootPlan = plan(bzImageBytes(), { initrd, rsdpAddress: 0xe_0000 });
  const page = blob(bootPlan, "zero page");
  expect(page.byteLength).toBe(4096);
  expect(page.getUint32(0x202)).toBe(0x48647253);
  expect(page.getUint8(0x210)).toBe(0xff);
  expect(page.getUint32(0x228, true)).toBe(0x2_0000);
  expect(page.getUint32(0x218, true)).toBe(128 * MEBIBYTE - 8192);
  expect(page.getUint32(0x21c, true)).toBe(5000);
  expect(page.getBigUint64(0x70, true)).toBe(0xe_0000n);
  expect(page.getUint8(0x1e8)).toBe(4);
  expect(page.getBigUint64(0x2d0 + 8, true)).toBe(0x9_fc00n);
  const commandLine = blob(bootPlan, "kernel command line");
  expect(new TextDecoder().decode(commandLine)).toBe("console=ttyS0\0");
});

test("The descriptor tables and page tables have the bytes the boot protocol asks for", () => {
  const bootPlan = plan(bzImageBytes());
  const gdt = new Uint8Array(blob(bootPlan, "GDT").buffer);
  expect(gdt.toHex()).toBe(`${"00".repeat(16)}ffff0000009baf00${"ffff00000093cf00"}`);
  const tables = blob(bootPlan, "page tables");
  expect(tables.byteLength).toBe(6 * 4096);
  expect(tables.getBigUint64(0, true)).toBe(0xa003n);
  expect(tables.getBigUint64(0x1000 + 24, true)).toBe(0xe003n);
  expect(tables.getBigUint64(0x2000, true)).toBe(0x83n);
  expect(tables.getBigUint64(0x6000 - 8, true)).toBe(0xffe0_0083n);
});

test("A flat binary is loaded whole at 16 MiB and entered at its first byte", () => {
  const bootPlan = plan(flatBytes());
  expect(bootPlan.fileLoads).toEqual([
    { source: "kernel", address: 0x100_0000, fileOffset: 0, size: 4096 },
  ]);
  expect(bootPlan.entry.rip).toBe(0x100_0000);
  expect(blob(bootPlan, "zero page").getUint16(0x1fe, true)).toBe(0xaa55);
});

test("A vmlinux without a PVH note is entered in 64-bit mode with a zero page", () => {
  const bootPlan = plan(elfBytes([CODE_SEGMENT]));
  expect(bootPlan.entry.mode).toBe("long64");
  expect(bootPlan.entry.rip).toBe(0x100_0000);
  expect(bootPlan.zeroFills).toEqual([{ name: "kernel 'k'", address: 0x100_1000, size: 0x1000 }]);
});

test("A vmlinux with a PVH note is entered in 32-bit mode with a start info", () => {
  const initrd = sizedFile("i", 4096);
  const bootPlan = plan(elfBytes([CODE_SEGMENT, NOTE_SEGMENT]), { initrd, rsdpAddress: 0xe_0000 });
  const { cr0, efer, mode, rbx, rip } = bootPlan.entry;
  expect({ cr0, efer, mode, rbx, rip }).toEqual({
    mode: "pvh32",
    rip: 0x100_0040,
    rbx: 0x7000,
    cr0: 0x11,
    efer: 0,
  });
  const info = blob(bootPlan, "PVH start info");
  const words = [0, 4, 8, 12].map((offset) => info.getUint32(offset, true));
  expect(words).toEqual([0x336e_c578, 1, 0, 1]);
  const pointers = [16, 24, 32, 40].map((offset) => info.getBigUint64(offset, true));
  expect(pointers).toEqual([0x7038n, 0x2_0000n, 0xe_0000n, 0x7058n]);
  expect(info.getUint32(48, true)).toBe(4);
  expect(info.getBigUint64(56, true)).toBe(BigInt(128 * MEBIBYTE - 4096));
  expect(info.getUint32(88 + 24 + 16, true)).toBe(2);
});

test("The protocol can be forced, and PVH is refused where the note is missing", () => {
  const both = elfBytes([CODE_SEGMENT, NOTE_SEGMENT]);
  expect(plan(both, { protocol: "linux64" }).entry.mode).toBe("long64");
  expect(() => plan(bzImageBytes(), { protocol: "pvh" })).toThrow(/no PVH entry note/);
});

test("A gzip'd kernel becomes bytes in the plan, the same as unpacked", () => {
  const bootPlan = plan(gzipSync(bzImageBytes()));
  expect(bootPlan.fileLoads).toEqual([]);
  const kernel = bootPlan.blobs.find((each) => each.name === "kernel");
  expect(kernel?.address).toBe(0x10_0000);
  expect(kernel?.bytes.toHex()).toBe(bzImageBytes().subarray(1536).toHex());
});

test("An initrd lies at the highest page that kernel and gap allow", () => {
  const addressFor = (bytes: Uint8Array, size: number): number | undefined =>
    plan(bytes, { initrd: sizedFile("i", 4096), memory: memoryOf(size) }).fileLoads.at(-1)?.address;
  expect(addressFor(bzImageBytes(), 8 * 2 ** 30)).toBe(0x7fff_f000);
  expect(addressFor(flatBytes(), 8 * 2 ** 30)).toBe(0x37ff_f000);
  expect(addressFor(flatBytes(), 64 * MEBIBYTE)).toBe(64 * MEBIBYTE - 4096);
});

const REFUSED: [string, () => BootPlan, RegExp][] = [
  [
    "an empty initrd",
    () => plan(flatBytes(), { initrd: sizedFile("i", 0) }),
    /^The initrd 'i' is an empty file/,
  ],
  [
    "an initrd larger than memory",
    () => plan(flatBytes(), { initrd: sizedFile("i", 200 * MEBIBYTE) }),
    /^The initrd 'i' of 200 MiB does not fit: .* of the guest's 128 MiB; give more with -m/,
  ],
  [
    "an initrd that the kernel cannot reach",
    () => plan(flatBytes(), { initrd: sizedFile("i", 2 ** 30), memory: memoryOf(2 ** 31) }),
    /^The initrd 'i' of 1024 MiB does not fit: .* below 0x38000000.*use a smaller one/,
  ],
  [
    "a command line that is too long",
    () => plan(bzImageBytes(), { commandLine: "x".repeat(256) }),
    /command line has 256 bytes.*at most 255/,
  ],
  ["a command line with a NUL", () => plan(flatBytes(), { commandLine: "a\0b" }), /NUL byte/],
  [
    "a kernel that unpacks to more than memory",
    () => plan(bzImageBytes(), { memory: memoryOf(32 * MEBIBYTE) }),
    /The unpacked kernel 'k' \(32 MiB at 0x1000000\) does not fit the guest's memory of 32 MiB/,
  ],
  [
    "a kernel larger than memory",
    () => plan(flatBytes(), { memory: memoryOf(2048) }),
    /^The kernel 'k' has 4 KiB, more than the guest's memory of 2 KiB/,
  ],
  [
    "ELF segments that overlap",
    () => plan(elfBytes([CODE_SEGMENT, CODE_SEGMENT])),
    /^The kernel 'k' .* overlaps the kernel 'k'/,
  ],
  [
    "an ELF segment in the gap",
    () => plan(elfBytes([CODE_SEGMENT, { ...CODE_SEGMENT, address: 0xfee0_0000n }])),
    /at 0xfee00000\) does not fit/,
  ],
  [
    "an ELF segment over the zero page",
    () => plan(elfBytes([CODE_SEGMENT, { ...CODE_SEGMENT, address: 0x6000n }])),
    /overlaps/,
  ],
];

test.each(REFUSED)("Refused: %s", (_name, action, sentence) => {
  expect(action).toThrow(sentence);
});

test("virtio-mmio devices are appended in order, before what belongs to init", () => {
  const slots = [
    { address: 0xf010_0000, size: 512, irq: 5 },
    { address: 0xf010_0200, size: 512, irq: 6 },
  ];
  const both = "virtio_mmio.device=512@0xf0100000:5 virtio_mmio.device=512@0xf0100200:6";
  expect(addVirtioMmioDevices("", slots)).toBe(both);
  expect(addVirtioMmioDevices("quiet", slots)).toBe(`quiet ${both}`);
  expect(addVirtioMmioDevices("quiet -- single", slots)).toBe(`quiet ${both} -- single`);
  expect(addVirtioMmioDevices("a=b--c", [])).toBe("a=b--c");
});

const PACKAGE_FOLDER = join(import.meta.dir, "../../.cache/debian");
const REAL_KERNELS = existsSync(PACKAGE_FOLDER)
  ? readdirSync(PACKAGE_FOLDER, { recursive: true, encoding: "utf8" }).filter((path) =>
      /\/boot\/vmlinuz-[^/]*$/.test(path),
    )
  : [];

// Skipped until `bun run guest` has made the guest images.
test.skipIf(REAL_KERNELS.length === 0)("A distribution's kernel is planned whole", () => {
  const path = join(PACKAGE_FOLDER, REAL_KERNELS[0] ?? "");
  const descriptor = openSync(path, "r");
  const { size } = fstatSync(descriptor);
  const kernel: BootFile = {
    path,
    size,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset));
    },
  };
  const bootPlan = plan(new Uint8Array(0), { kernel });
  closeSync(descriptor);
  const load = bootPlan.fileLoads[0];
  expect(load?.address).toBe(0x10_0000);
  expect((load?.fileOffset ?? 0) + (load?.size ?? 0)).toBe(size);
});
