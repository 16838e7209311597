// The host side of a disk: opens its file or block device, locks it, and learns what it needs.

import { closeSync, constants, fstatSync, readFileSync } from "node:fs";
import type { Core } from "../core/core.ts";
import { CoreError } from "../core/error.ts";
import { UserError } from "../errors.ts";
import type { DriveConfig } from "../options/config.ts";
import { openForUser } from "./file.ts";

export interface Drive {
  readonly fd: number;
  readonly sizeBytes: number;
  /** Alignment of offsets and lengths, and of buffers, in bytes; 1 without O_DIRECT. */
  readonly alignment: number;
  close(): void;
}

const SECTOR_SIZE = 512;
/** Above what any file system or disk asks for O_DIRECT. */
const ALIGNMENT_MAX = 4096;

/** Opens and locks the file of a -drive. */
export function openDrive(core: Core, config: DriveConfig): Drive {
  const access = config.readonly ? constants.O_RDONLY : constants.O_RDWR;
  const fd = openForUser(config.file, {
    what: `The disk of drive '${config.id}'`,
    option: "-drive",
    flags: access | (config.direct ? constants.O_DIRECT : 0),
  });
  try {
    lock(core, fd, config);
    return {
      fd,
      sizeBytes: sizeOf(fd, config),
      alignment: config.direct ? alignmentOf(fd) : 1,
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function lock(core: Core, fd: number, config: DriveConfig): void {
  try {
    core.lockFile(fd, config.readonly ? "shared" : "exclusive");
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
  if (!status.isFile() && !status.isBlockDevice()) {
    throw new UserError(`${name} is neither a regular file nor a block device.`);
  }
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

/** What O_DIRECT needs: the device's logical block, or for a file at most its file system's. */
function alignmentOf(fd: number): number {
  const status = fstatSync(fd);
  if (status.isFile()) return Math.min(status.blksize, ALIGNMENT_MAX);
  const path = `${sysfsBlock(status.rdev)}/queue/logical_block_size`;
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return ALIGNMENT_MAX;
  }
}
