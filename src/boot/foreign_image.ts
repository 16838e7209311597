// Names files that are recognisably not a kernel for this machine, so that a mistake is a
// sentence instead of a guest that runs garbage.

import type { BootFile } from "./plan.ts";

const BYTES_READ = 64 * 1024;
const TEXT_SAMPLE_SIZE = 512;
const KERNEL_FORMATS = "a bzImage, a 64-bit vmlinux or a flat binary is right";

interface Signature {
  readonly offset: number;
  /** Hexadecimal. */
  readonly bytes: string;
  readonly verdict: string;
}

const compressed = (format: string): string =>
  `is compressed with ${format}; decompress it first, only gzip is read directly`;
const disk = (format: string): string =>
  `is ${format}, not a kernel; disks belong to -drive, and -kernel takes a bzImage or vmlinux`;
const instead = (what: string): string => `is ${what}; ${KERNEL_FORMATS}`;

const SIGNATURES: readonly Signature[] = [
  { offset: 0x38, bytes: "41524d64", verdict: instead("an aarch64 kernel image") },
  { offset: 0x38, bytes: "52534305", verdict: instead("a RISC-V kernel image") },
  { offset: 4, bytes: "7a696d67", verdict: instead("a compressed EFI (zboot) kernel image") },
  { offset: 0, bytes: "fd377a585a00", verdict: compressed("xz") },
  { offset: 0, bytes: "28b52ffd", verdict: compressed("zstd") },
  { offset: 0, bytes: "425a68", verdict: compressed("bzip2") },
  { offset: 0, bytes: "04224d18", verdict: compressed("lz4") },
  { offset: 0, bytes: "02214c18", verdict: compressed("lz4") },
  { offset: 0, bytes: "894c5a4f", verdict: compressed("lzo") },
  { offset: 0, bytes: "5d000080", verdict: compressed("lzma") },
  { offset: 0, bytes: "504b0304", verdict: instead("a zip archive") },
  { offset: 0, bytes: "514649fb", verdict: disk("a qcow2 disk image") },
  { offset: 0, bytes: "4b444d56", verdict: disk("a VMDK disk image") },
  { offset: 0, bytes: "76686478", verdict: disk("a VHDX disk image") },
  { offset: 0, bytes: "68737173", verdict: disk("a squashfs image") },
  { offset: 0x438, bytes: "53ef", verdict: disk("an ext2/3/4 file system image") },
  { offset: 0x8001, bytes: "4344303031", verdict: disk("an ISO 9660 image") },
  { offset: 0x200, bytes: "4546492050415254", verdict: disk("a partitioned disk image") },
  { offset: 0, bytes: "30373037", verdict: "is a cpio archive; an initrd belongs to -initrd" },
  { offset: 257, bytes: "7573746172", verdict: instead("a tar archive") },
  { offset: 0, bytes: "27051956", verdict: instead("a U-Boot uImage") },
  { offset: 0, bytes: "d00dfeed", verdict: instead("a device tree or FIT image") },
  { offset: 0, bytes: "414e44524f494421", verdict: instead("an Android boot image") },
  { offset: 0, bytes: "213c617263683e", verdict: instead("an ar archive or Debian package") },
  { offset: 0, bytes: "edabeedb", verdict: instead("an RPM package") },
  { offset: 0, bytes: "2321", verdict: instead("a script") },
];

/** What the file is and what would be right, or undefined if it may be a flat binary. */
export function describeForeignImage(file: BootFile): string | undefined {
  const head = file.read(0, Math.min(file.size, BYTES_READ));
  const signature = SIGNATURES.find((each) => hasBytes(head, each.offset, each.bytes));
  if (signature !== undefined) return signature.verdict;
  if (hasBytes(head, 0, "4d5a")) return describeExecutable(head, file);
  if (isBootSector(head)) return disk("a disk image with a boot sector");
  if (head.every((byte) => byte === 0)) {
    return `begins with ${head.length} zero bytes, which is no code; ${KERNEL_FORMATS}`;
  }
  if (isText(head.subarray(0, TEXT_SAMPLE_SIZE))) return instead("a text file");
  return undefined;
}

/** "MZ" without a setup header: an EFI program, or a bzImage of which little is left. */
function describeExecutable(head: Uint8Array, file: BootFile): string | undefined {
  const headerOffset =
    head.length >= 0x40 ? new DataView(head.buffer, head.byteOffset).getUint32(0x3c, true) : 0;
  if (headerOffset > 0 && hasBytes(head, headerOffset, "50450000")) {
    return `is an EFI or Windows program; this machine has no EFI, and ${KERNEL_FORMATS}`;
  }
  const setupHeaderEnd = 0x268;
  if (head.length >= setupHeaderEnd) return undefined;
  return `is cut off: ${file.size} bytes are too few for a bzImage's setup header`;
}

/** The signature alone turns up by chance; with four valid partition flags it does not. */
function isBootSector(head: Uint8Array): boolean {
  const flags = [0x1be, 0x1ce, 0x1de, 0x1ee].map((offset) => head[offset]);
  return hasBytes(head, 510, "55aa") && flags.every((flag) => flag === 0 || flag === 0x80);
}

function isText(sample: Uint8Array): boolean {
  return sample.every((byte) => (byte >= 0x20 && byte < 0x7f) || (byte >= 9 && byte <= 13));
}

function hasBytes(head: Uint8Array, offset: number, hexadecimal: string): boolean {
  const expected = Uint8Array.fromHex(hexadecimal);
  return expected.every((byte, index) => head[offset + index] === byte);
}
