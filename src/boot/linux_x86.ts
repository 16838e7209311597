// Direct boot on x86_64: from a kernel, an initrd and a command line to a plan of what lies where
// in guest memory and how the first vCPU starts.

import { UserError } from "../errors.ts";
import type { MemoryBlob } from "../firmware/byte_writer.ts";
import type { E820Entry, MemoryLayout } from "../firmware/e820.ts";
import { buildZeroPage } from "./boot_params.ts";
import { type BootProtocol, type KernelImage, readKernelImage } from "./kernel_image.ts";
import {
  type BootFile,
  type BootPlan,
  checkPlacements,
  type FileLoad,
  formatAddress,
  formatSize,
  type Placement,
} from "./plan.ts";
import { buildStartInfo } from "./pvh.ts";
import { type Entry, longModeEntry, pvhEntry } from "./x86_entry.ts";

const ZERO_PAGE_ADDRESS = 0x7000;
const START_INFO_ADDRESS = 0x7000;
const COMMAND_LINE_ADDRESS = 0x2_0000;
const STACK_SIZE = 0xff0;
const PAGE_SIZE = 4096;

/** What to boot and in which memory. */
export interface LinuxBootDescription {
  readonly kernel: BootFile;
  readonly initrd?: BootFile;
  /** Complete, with the machine's additions. */
  readonly commandLine: string;
  readonly memory: MemoryLayout;
  readonly e820: readonly E820Entry[];
  /** Tables that lie in guest memory too: MP table, ACPI, SMBIOS. */
  readonly firmware: readonly MemoryBlob[];
  readonly rsdpAddress?: number;
  readonly protocol?: BootProtocol;
}

/**
 * Plans the boot. Errors, one sentence each: a kernel that is empty, cut off, foreign or does not
 * fit; an initrd that is empty or does not fit; a command line that is too long.
 */
export function planLinuxBoot(description: LinuxBootDescription): BootPlan {
  const { initrd, memory } = description;
  const image = readKernelImage(description.kernel, {
    memorySize: memory.size,
    protocol: description.protocol ?? "auto",
  });
  const commandLine = encodeCommandLine(description.commandLine, image);
  checkPlacements(image.occupied, memory);
  const initrdLoad = initrd === undefined ? undefined : placeInitrd(initrd, image, memory);
  const entry = image.protocol === "pvh" ? enterByPvh(image) : enterInLongMode(image);
  const blobs = [
    ...description.firmware,
    ...entry.blobs,
    { name: "kernel command line", address: COMMAND_LINE_ADDRESS, bytes: commandLine },
    bootInformation(description, image, initrdLoad),
  ];
  checkPlacements(
    [
      ...blobs.map((blob) => ({ ...blob, size: blob.bytes.length })),
      { name: "boot stack", address: entry.stackTop - STACK_SIZE, size: STACK_SIZE },
      ...image.occupied,
      ...(initrdLoad === undefined ? [] : [initrdPlacement(description.initrd, initrdLoad)]),
    ],
    memory,
  );
  const kernel = placeKernel(image);
  return {
    blobs: [...blobs, ...kernel.blobs],
    fileLoads: initrdLoad === undefined ? kernel.fileLoads : [...kernel.fileLoads, initrdLoad],
    zeroFills: image.zeroFills,
    entry: entry.state,
  };
}

function enterByPvh(image: KernelImage): Entry {
  return pvhEntry(image.entry, START_INFO_ADDRESS);
}

function enterInLongMode(image: KernelImage): Entry {
  return longModeEntry(image.entry, ZERO_PAGE_ADDRESS);
}

/** The zero page or the PVH start info: the one structure that points to everything else. */
function bootInformation(
  description: LinuxBootDescription,
  image: KernelImage,
  initrd: FileLoad | undefined,
): MemoryBlob {
  const { e820, rsdpAddress } = description;
  if (image.protocol === "pvh") {
    const bytes = buildStartInfo({
      address: START_INFO_ADDRESS,
      e820,
      commandLineAddress: COMMAND_LINE_ADDRESS,
      initrd,
      rsdpAddress,
    });
    return { name: "PVH start info", address: START_INFO_ADDRESS, bytes };
  }
  const bytes = buildZeroPage({
    setupHeader: image.setupHeader,
    e820,
    commandLine: { address: COMMAND_LINE_ADDRESS, size: image.commandLineSizeMax },
    initrd,
    rsdpAddress,
  });
  return { name: "zero page", address: ZERO_PAGE_ADDRESS, bytes };
}

function encodeCommandLine(commandLine: string, image: KernelImage): Uint8Array {
  const bytes = new TextEncoder().encode(`${commandLine}\0`);
  const size = bytes.length - 1;
  if (size > image.commandLineSizeMax) {
    throw new UserError(
      `The kernel command line has ${size} bytes, the machine's own additions included; ` +
        `this kernel takes at most ${image.commandLineSizeMax}.`,
    );
  }
  if (bytes.indexOf(0) !== size) {
    throw new UserError("The kernel command line contains a NUL byte, which would end it.");
  }
  return bytes;
}

/** The highest page-aligned place that the kernel can reach and that is RAM below the gap. */
function placeInitrd(initrd: BootFile, image: KernelImage, memory: MemoryLayout): FileLoad {
  if (initrd.size === 0) {
    throw new UserError(`The initrd '${initrd.path}' is an empty file; a cpio archive is right.`);
  }
  const end = Math.min(memory.size, memory.gapStart, image.initrdAddressMax + 1);
  const address = Math.floor((end - initrd.size) / PAGE_SIZE) * PAGE_SIZE;
  const kernelEnd = Math.max(
    ...image.occupied
      .map((placement) => placement.address + placement.size)
      .filter((placementEnd) => placementEnd <= end),
    0,
  );
  if (address < kernelEnd) {
    const free = formatSize(Math.max(0, end - kernelEnd));
    const advice =
      end === memory.size
        ? `of the guest's ${formatSize(memory.size)}; give more with -m`
        : `below ${formatAddress(end)}, where it has to lie; use a smaller one`;
    throw new UserError(
      `The initrd '${initrd.path}' of ${formatSize(initrd.size)} does not fit: ` +
        `the kernel leaves ${free} ${advice}.`,
    );
  }
  return { source: "initrd", address, fileOffset: 0, size: initrd.size };
}

function initrdPlacement(initrd: BootFile | undefined, load: FileLoad): Placement {
  return { name: `initrd '${initrd?.path ?? ""}'`, address: load.address, size: load.size };
}

/** An image that had to be unpacked is bytes; any other is loaded from its file. */
function placeKernel(image: KernelImage): Pick<BootPlan, "blobs" | "fileLoads"> {
  const { parts, unpacked } = image;
  if (unpacked === undefined) {
    return { blobs: [], fileLoads: parts.map((part) => ({ source: "kernel", ...part })) };
  }
  const blobs = parts.map((part) => ({
    name: "kernel",
    address: part.address,
    bytes: unpacked.subarray(part.fileOffset, part.fileOffset + part.size),
  }));
  return { blobs, fileLoads: [] };
}
