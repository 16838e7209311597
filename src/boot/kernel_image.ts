// Finds out what kind of kernel a file is, and what of it goes where in guest memory.

import { zlibModule } from "../builtin.ts";
import { errorCode, UserError } from "../errors.ts";
import { isBzImage, parseBzImage } from "./bzimage.ts";
import { isLoadedCode, parseElf } from "./elf.ts";
import { describeForeignImage } from "./foreign_image.ts";
import { type BootFile, formatAddress, formatSize, type Placement } from "./plan.ts";

const FLAT_LOAD_ADDRESS = 0x100_0000;
const FLAT_SIZE_MIN = 16;
/** COMMAND_LINE_SIZE of Linux on x86, without the NUL. */
const LINUX_COMMAND_LINE_SIZE_MAX = 2047;
/** What kernels without a setup header can reach (initrd_addr_max of Linux before 2.6). */
const INITRD_ADDRESS_MAX = 0x37ff_ffff;

/** How to enter the kernel; `auto` takes PVH if the kernel has the note for it. */
export type BootProtocol = "auto" | "linux64" | "pvh";

/** Bytes of the image and their place in guest memory. */
export interface ImagePart {
  readonly fileOffset: number;
  readonly size: number;
  readonly address: number;
}

/** A kernel ready to be placed. */
export interface KernelImage {
  readonly kind: "bzImage" | "vmlinux" | "flat";
  readonly protocol: "linux64" | "pvh";
  readonly parts: readonly ImagePart[];
  readonly zeroFills: readonly Placement[];
  /** The memory it occupies, parts included, until it manages memory itself. */
  readonly occupied: readonly Placement[];
  readonly entry: number;
  readonly setupHeader: Uint8Array | undefined;
  readonly commandLineSizeMax: number;
  readonly initrdAddressMax: number;
  /** The whole decompressed image, if the file itself cannot be loaded from. */
  readonly unpacked: Uint8Array | undefined;
}

/** Limits and wishes of the machine. */
export interface KernelOptions {
  /** Guest memory in bytes; a larger image is refused before it is unpacked. */
  readonly memorySize: number;
  readonly protocol: BootProtocol;
}

/** Reads a kernel's headers. Errors: empty, cut off, foreign, or larger than guest memory. */
export function readKernelImage(file: BootFile, options: KernelOptions): KernelImage {
  if (!isGzip(file)) return readPlainImage(file, options, undefined);
  const unpacked = unpack(file, options.memorySize);
  const image: BootFile = {
    path: file.path,
    size: unpacked.length,
    read: (offset, length) => unpacked.subarray(offset, offset + length),
  };
  return readPlainImage(image, options, unpacked);
}

function readPlainImage(
  file: BootFile,
  options: KernelOptions,
  unpacked: Uint8Array | undefined,
): KernelImage {
  if (file.size === 0) {
    throw new UserError(
      `The kernel '${file.path}' is an empty file; a bzImage, a vmlinux or a flat binary is right.`,
    );
  }
  if (file.size > options.memorySize) throw tooLarge(file, options.memorySize);
  const image = selectFormat(file, options.protocol);
  if (options.protocol === "pvh" && image.protocol !== "pvh") {
    throw new UserError(
      `The kernel '${file.path}' has no PVH entry note; use a vmlinux built with CONFIG_PVH.`,
    );
  }
  return { ...image, unpacked };
}

type UnpackedImage = Omit<KernelImage, "unpacked">;

function selectFormat(file: BootFile, protocol: BootProtocol): UnpackedImage {
  if (isBzImage(file)) return bzImage(file);
  const magic = file.read(0, Math.min(file.size, 4));
  if (magic.toHex() === "7f454c46") return vmlinux(file, protocol);
  return flatImage(file);
}

function bzImage(file: BootFile): UnpackedImage {
  const header = parseBzImage(file);
  const { fileOffset, fileSize, loadAddress, runAddress, runSize } = header;
  const load = { name: `kernel '${file.path}'`, address: loadAddress, size: fileSize };
  const run = { name: `unpacked kernel '${file.path}'`, address: runAddress, size: runSize };
  return {
    kind: "bzImage",
    protocol: "linux64",
    parts: [{ fileOffset, size: fileSize, address: loadAddress }],
    zeroFills: [],
    occupied: joinIfOverlapping(load, run),
    entry: header.entry,
    setupHeader: header.setupHeader,
    commandLineSizeMax: header.commandLineSizeMax || LINUX_COMMAND_LINE_SIZE_MAX,
    initrdAddressMax: header.initrdAddressMax || INITRD_ADDRESS_MAX,
  };
}

/** The kernel may unpack itself over its own packed form; that overlap is meant. */
function joinIfOverlapping(load: Placement, run: Placement): Placement[] {
  const start = Math.min(load.address, run.address);
  const end = Math.max(load.address + load.size, run.address + run.size);
  const overlap = load.size + run.size > end - start;
  return overlap ? [{ name: run.name, address: start, size: end - start }] : [load, run];
}

function vmlinux(file: BootFile, protocol: BootProtocol): UnpackedImage {
  const elf = parseElf(file);
  const usesPvh = elf.pvhEntry !== undefined && protocol !== "linux64";
  const entry = usesPvh && elf.pvhEntry !== undefined ? elf.pvhEntry : elf.entry;
  if (!isLoadedCode(elf, entry)) {
    throw new UserError(
      `The kernel '${file.path}' is a damaged ELF file: its entry point ` +
        `${formatAddress(entry)} lies outside of the segments it loads.`,
    );
  }
  const name = `kernel '${file.path}'`;
  return {
    kind: "vmlinux",
    protocol: usesPvh ? "pvh" : "linux64",
    parts: elf.segments
      .filter((segment) => segment.fileSize > 0)
      .map((segment) => ({
        fileOffset: segment.fileOffset,
        size: segment.fileSize,
        address: segment.physicalAddress,
      })),
    zeroFills: elf.segments
      .filter((segment) => segment.memorySize > segment.fileSize)
      .map((segment) => ({
        name,
        address: segment.physicalAddress + segment.fileSize,
        size: segment.memorySize - segment.fileSize,
      })),
    occupied: elf.segments.map((segment) => ({
      name,
      address: segment.physicalAddress,
      size: segment.memorySize,
    })),
    entry,
    setupHeader: undefined,
    commandLineSizeMax: LINUX_COMMAND_LINE_SIZE_MAX,
    initrdAddressMax: INITRD_ADDRESS_MAX,
  };
}

function flatImage(file: BootFile): UnpackedImage {
  const foreign = describeForeignImage(file);
  if (foreign !== undefined) throw new UserError(`The kernel '${file.path}' ${foreign}.`);
  if (file.size < FLAT_SIZE_MIN) {
    throw new UserError(
      `The kernel '${file.path}' is cut off: ${file.size} bytes are no kernel; ` +
        "a bzImage, a vmlinux or a flat binary is right.",
    );
  }
  const place = { address: FLAT_LOAD_ADDRESS, size: file.size };
  return {
    kind: "flat",
    protocol: "linux64",
    parts: [{ fileOffset: 0, ...place }],
    zeroFills: [],
    occupied: [{ name: `kernel '${file.path}'`, ...place }],
    entry: FLAT_LOAD_ADDRESS,
    setupHeader: undefined,
    commandLineSizeMax: LINUX_COMMAND_LINE_SIZE_MAX,
    initrdAddressMax: INITRD_ADDRESS_MAX,
  };
}

function isGzip(file: BootFile): boolean {
  return file.read(0, Math.min(file.size, 3)).toHex() === "1f8b08";
}

/** Unpacks at most as much as guest memory holds, so that no small file fills the host's. */
function unpack(file: BootFile, memorySize: number): Uint8Array {
  if (file.size > memorySize) throw tooLarge(file, memorySize);
  try {
    return zlibModule().gunzipSync(file.read(0, file.size), { maxOutputLength: memorySize });
  } catch (error) {
    const code = errorCode(error);
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw new UserError(
        `The kernel '${file.path}' unpacks to more than the guest's memory of ` +
          `${formatSize(memorySize)}; give more with -m.`,
      );
    }
    throw new UserError(
      `The kernel '${file.path}' is a damaged or cut off gzip file of ${file.size} bytes; ` +
        "copy it again or pass it unpacked.",
    );
  }
}

function tooLarge(file: BootFile, memorySize: number): UserError {
  return new UserError(
    `The kernel '${file.path}' has ${formatSize(file.size)}, more than the guest's memory of ` +
      `${formatSize(memorySize)}; give more with -m.`,
  );
}
