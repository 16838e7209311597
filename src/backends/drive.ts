// The host side of a disk: opens its file or block device, locks it, and learns what it needs.

import { closeSync, constants, fstatSync, readFileSync } from "node:fs";
import type { Core } from "../core/core.ts";
import { CoreError } from "../core/error.ts";
import { directAlignment, lockFile } from "../core/host_calls.ts";
import { UserError } from "../errors.ts";
import type { DriveConfig } from "../options/config.ts";
import { openStored } from "./file.ts";

export interface Drive {
  readonly fd: number;
  readonly sizeBytes: number;
  /** What the file needs of offsets and lengths, in bytes; 1 without O_DIRECT. */
  readonly requestAlignment: number;
  /** What it needs of addresses. */
  readonly bufferAlignment: number;
  close(): void;
}

const SECTOR_SIZE = 512;
/** Above what any file system or disk asks for O_DIRECT. */
const ALIGNMENT_MAX = 4096;
const UNALIGNED: Alignment = { requestAlignment: 1, bufferAlignment: 1 };

/** Opens and locks the file of a -drive. */
export function openDrive(core: Core, config: DriveConfig): Drive {
  const access = config.readonly ? constants.O_RDONLY : constants.O_RDWR;
  const use = {
    what: "The disk",
    option: `drive '${config.id}'`,
    flags: access | (config.direct ? constants.O_DIRECT : 0),
  };
  const fd = openStored(config.file, use, "a file or a block device");
  try {
    lock(core, fd, config);
    return {
      fd,
      sizeBytes: sizeOf(fd, config),
      ...(config.direct ? alignmentOf(core, fd) : UNALIGNED),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function lock(core: Core, fd: number, config: DriveConfig): void {
  try {
    lockFile(core, fd, config.readonly ? "shared" : "exclusive");
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new UserError(
      `The disk '${config.file}' of drive '${config.id}' is in use by another machine; ` +
        "only readers (readonly=on) can share one.",
    );
  }
}

function sizeOf(fd: number, config: DriveConfig): number {
  const status = fstatSync(fd);
  const name = `The disk '${config.file}' of drive '${config.id}'`;
  if (status.isDirectory()) throw new UserError(`${name} is a folder; a file is needed.`);
  const size = status.isFile() ? status.size : blockDeviceSize(status.rdev);
  if (size < SECTOR_SIZE) {
    throw new UserError(`${name} has ${size} bytes; a disk has at least one sector of 512.`);
  }
  return size;
}

/** Linux counts 512-byte sectors in sysfs, whatever the device's own sector is. */
function blockDeviceSize(rdev: number): number {
  return Number(readFileSync(`${sysfsBlock(rdev)}/size`, "utf8")) * SECTOR_SIZE;
}

function sysfsBlock(rdev: number): string {
  const major = Math.floor(rdev / 256) & 0xfff;
  const minor = (rdev & 0xff) + (Math.floor(rdev / 2 ** 20) & 0xfff) * 256;
  return `/sys/dev/block/${major}:${minor}`;
}

type Alignment = Pick<Drive, "requestAlignment" | "bufferAlignment">;

/**
 * What O_DIRECT needs. The kernel's own word counts (statx, Linux 6.1). Else a device takes its
 * logical block, and a file what is always enough: its file system's block.
 */
function alignmentOf(core: Core, fd: number): Alignment {
  const { request, buffer } = directAlignment(core, fd);
  if (request !== 0 && buffer !== 0) {
    // A guest's requests are whole sectors anyway.
    return { requestAlignment: Math.max(request, SECTOR_SIZE), bufferAlignment: buffer };
  }
  const status = fstatSync(fd);
  const size = status.isFile() ? status.blksize : logicalBlockSize(status.rdev);
  const alignment = Math.min(size, ALIGNMENT_MAX);
  return { requestAlignment: alignment, bufferAlignment: alignment };
}

/** The queue of a partition is that of its disk, one folder up from where the link leads. */
function logicalBlockSize(rdev: number): number {
  const queues = [`${sysfsBlock(rdev)}/queue`, `${sysfsBlock(rdev)}/../queue`];
  const sizes = queues.map((queue) => readNumber(`${queue}/logical_block_size`));
  return sizes.find((size) => size !== undefined) ?? ALIGNMENT_MAX;
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
