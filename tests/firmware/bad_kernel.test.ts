// Every file that is not a kernel for this machine is refused with a sentence that says why.

import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { readKernelImage } from "../../src/boot/kernel_image.ts";
import { UserError } from "../../src/errors.ts";
import { bzImageBytes, CODE_SEGMENT, elfBytes, fileOf, NOTE_SEGMENT } from "./kernel_files.ts";

const MEMORY_SIZE = 128 * 2 ** 20;

function withBytes(offset: number, content: string | number[], size = 70_000): Uint8Array {
  const bytes = new Uint8Array(size).fill(0xcc);
  bytes.set(typeof content === "string" ? new TextEncoder().encode(content) : content, offset);
  return bytes;
}

function sentenceFor(bytes: Uint8Array): string {
  try {
    readKernelImage(fileOf("k", bytes), { memorySize: MEMORY_SIZE, protocol: "auto" });
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return String(error);
  }
  return "accepted";
}

const FOREIGN: [string, Uint8Array, RegExp][] = [
  ["an empty file", new Uint8Array(0), /'k' is an empty file; a bzImage/],
  ["a few bytes", Uint8Array.of(0xf4, 0xeb, 0xfd), /cut off: 3 bytes/],
  ["zeros", new Uint8Array(8192), /begins with 8192 zero bytes/],
  ["an aarch64 Image", withBytes(0x38, "ARM\x64"), /aarch64 kernel image/],
  ["a RISC-V Image", withBytes(0x38, "RSC\x05"), /RISC-V/],
  ["a script", withBytes(0, "#!/bin/sh\n"), /is a script/],
  ["text", new TextEncoder().encode("console=ttyS0 root=/dev/vda\n"), /is a text file/],
  ["xz", withBytes(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), /compressed with xz/],
  ["zstd", withBytes(0, [0x28, 0xb5, 0x2f, 0xfd]), /compressed with zstd/],
  ["zip", withBytes(0, "PK\x03\x04"), /zip archive/],
  ["qcow2", withBytes(0, [0x51, 0x46, 0x49, 0xfb]), /qcow2 disk image.*-drive/],
  ["squashfs", withBytes(0, "hsqs"), /squashfs/],
  ["ext4", withBytes(0x438, [0x53, 0xef]), /ext2\/3\/4/],
  ["a cpio archive", withBytes(0, "070701"), /belongs to -initrd/],
  ["an EFI program", withEfiHeader(), /EFI or Windows program/],
  ["the start of a bzImage", withBytes(0, "MZ", 300), /cut off: 300 bytes/],
];

function withEfiHeader(): Uint8Array {
  const bytes = withBytes(0x80, "PE\0\0");
  bytes.set([0x4d, 0x5a]);
  bytes.set([0x80, 0, 0, 0], 0x3c);
  return bytes;
}

const BZIMAGES: [string, Uint8Array, RegExp][] = [
  ["cut in its header", bzImageBytes().subarray(0, 0x250), /ends? inside the setup header/],
  ["cut in its code", bzImageBytes().subarray(0, 3000), /promises 3584 bytes.*has 3000/],
  ["of protocol 2.11", bzImageBytes([0x206, 0x0b, 2]), /boot protocol 2\.11; 2\.12/],
  ["for 32 bits", bzImageBytes([0x236, 0]), /32-bit x86 bzImage/],
  ["loaded low", bzImageBytes([0x211, 0]), /zImage/],
  ["that wants address 0", bzImageBytes([0x214, 0, 0, 0, 0]), /loaded at 0x0/],
];

const code = (changes: Partial<typeof CODE_SEGMENT>) => elfBytes([{ ...CODE_SEGMENT, ...changes }]);
const HUGE = 0xffff_ffff_ffff_f000n;
const ELFS: [string, Uint8Array, RegExp][] = [
  ["of 32 bits", elfBytes([CODE_SEGMENT], [4, 1], [18, 3]), /32-bit ELF file for 32-bit x86/],
  ["for aarch64", elfBytes([CODE_SEGMENT], [18, 183]), /64-bit ELF file for aarch64/],
  ["of big endian", elfBytes([CODE_SEGMENT], [5, 2], [18, 0, 22]), /for s390/],
  ["that is an object", elfBytes([CODE_SEGMENT], [16, 1]), /type 1/],
  ["cut in its header", elfBytes([CODE_SEGMENT]).subarray(0, 40), /the ELF header ends at/],
  ["cut in its code", elfBytes([CODE_SEGMENT]).subarray(0, 0x1800), /a segment ends at 0x2000/],
  ["without segments", elfBytes([]), /no segment to load/],
  ["with too many segments", elfBytes([CODE_SEGMENT], [56, 0xff, 0xff]), /65535 program headers/],
  ["with odd headers", elfBytes([CODE_SEGMENT], [54, 1]), /program headers of 1 bytes/],
  ["with headers outside", elfBytes([CODE_SEGMENT], [32, 0, 0xff]), /header table ends at/],
  ["with an offset that overflows", code({ offset: HUGE }), /segment offset 0xfffffffffffff000/],
  ["with a size that overflows", code({ fileSize: HUGE }), /segment size 0x/],
  ["with an address that overflows", code({ address: HUGE }), /segment address 0x/],
  ["with more file than memory", code({ memorySize: 8n }), /more bytes in the file than in mem/],
  ["entered outside", elfBytes([CODE_SEGMENT], [24, 0, 0, 0, 2]), /entry point 0x2000000 lies/],
  ["entered in its zeros", elfBytes([CODE_SEGMENT], [25, 0x10]), /entry point 0x1001000 lies/],
  ["with an odd note", elfBytes([CODE_SEGMENT, NOTE_SEGMENT], [0x804, 2]), /note of 2 bytes/],
  [
    "with a note that points outside",
    elfBytes([CODE_SEGMENT, NOTE_SEGMENT], [0x810, 0, 0, 0, 2]),
    /entry point 0x2000000 lies/,
  ],
];

const BOMB = gzipSync(new Uint8Array(MEMORY_SIZE + 1));
const GZIPS: [string, Uint8Array, RegExp][] = [
  ["cut off", gzipSync(bzImageBytes()).subarray(0, 60), /damaged or cut off gzip file of 60 b/],
  ["larger than memory", BOMB, /unpacks to more than the guest's memory of 128 MiB/],
  ["of nothing", gzipSync(new Uint8Array(0)), /is an empty file/],
  ["of an aarch64 Image", gzipSync(withBytes(0x38, "ARM\x64")), /aarch64/],
];

describe("refused as a kernel", () => {
  test.each(FOREIGN)("%s", (_name, bytes, sentence) => {
    expect(sentenceFor(bytes)).toMatch(sentence);
  });
  test.each(BZIMAGES)("a bzImage %s", (_name, bytes, sentence) => {
    expect(sentenceFor(bytes)).toMatch(sentence);
  });
  test.each(ELFS)("an ELF file %s", (_name, bytes, sentence) => {
    expect(sentenceFor(bytes)).toMatch(sentence);
  });
  test.each(GZIPS)("a gzip file %s", (_name, bytes, sentence) => {
    expect(sentenceFor(bytes)).toMatch(sentence);
  });
});

test("A hostile note segment ends the search instead of the process", () => {
  const bytes = elfBytes([CODE_SEGMENT, NOTE_SEGMENT], [0x800, 0xff, 0xff, 0xff, 0xff]);
  const image = readKernelImage(fileOf("k", bytes), { memorySize: MEMORY_SIZE, protocol: "auto" });
  expect(image.protocol).toBe("linux64");
});
