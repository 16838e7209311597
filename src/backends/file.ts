// Opens files of the user with one sentence for each way in which that can fail.

import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import type { BootFile } from "../boot/plan.ts";
import { errorCode, UserError } from "../errors.ts";

/** What a file is for, as it begins a sentence: "The kernel". */
export interface FileUse {
  readonly what: string;
  /** Where it came from: "-kernel". */
  readonly option: string;
  readonly flags: number | string;
  /** Permissions of a file that this makes. */
  readonly mode?: number;
}

/** Opens `path`; the sentence says what is wrong with it and what would be right. */
export function openForUser(path: string, use: FileUse): number {
  try {
    return openSync(path, use.flags, use.mode);
  } catch (error) {
    throw new UserError(`${use.what} '${path}' (${use.option}) ${reasonOf(error)}`);
  }
}

/**
 * Opens what holds bytes. A pipe, a socket or a character device is refused unopened: the first
 * would wait for its other end, and with it a machine that runs.
 */
export function openStored(path: string, use: FileUse, wanted: string): number {
  const kind = kindOf(path);
  if (kind === undefined) return openForUser(path, use);
  throw new UserError(`${use.what} '${path}' (${use.option}) is ${kind}; ${wanted} is needed.`);
}

/** What holds no bytes at `path`; undefined for anything else. */
function kindOf(path: string): string | undefined {
  let status: Stats;
  try {
    status = statSync(path);
  } catch {
    // What is wrong with the path, opening it tells.
    return undefined;
  }
  if (status.isFIFO()) return "a pipe";
  if (status.isSocket()) return "a socket";
  return status.isCharacterDevice() ? "a character device" : undefined;
}

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  switch (code) {
    case "ENOENT":
      return "does not exist; check the path.";
    case "ENOTDIR":
      return "lies below a file, not a folder; check the path.";
    case "ENAMETOOLONG":
      return "has a name that is too long for a file; check the path.";
    case "EACCES":
    case "EPERM":
      return `may not be opened by user ${process.getuid?.() ?? "?"}; change its permissions.`;
    case "EISDIR":
      return "is a folder; a file is needed.";
    case "EROFS":
      return "lies on a read-only file system; open it with readonly=on.";
    case "EINVAL":
      return "does not allow direct I/O; use direct=off.";
    case "ELOOP":
      return "is a chain of links that leads nowhere; name the file itself.";
    case "ENXIO":
      return "is a device that this host does not have or a pipe that nobody reads; name another.";
    default:
      return `cannot be opened (${code}).`;
  }
}

/** A boot file that stays open until `close`. */
export interface OpenBootFile extends BootFile {
  readonly fd: number;
  close(): void;
}

/** Opens a kernel or an initrd, which must be a regular file. */
export function openBootFile(path: string, use: Omit<FileUse, "flags">): OpenBootFile {
  const fd = openStored(path, { ...use, flags: "r" }, "a file");
  const status = fstatSync(fd);
  if (!status.isFile()) {
    closeSync(fd);
    const kind = status.isDirectory() ? "a folder" : "a block device";
    throw new UserError(`${use.what} '${path}' (${use.option}) is ${kind}; a file is needed.`);
  }
  return {
    path,
    fd,
    size: status.size,
    read: (offset, length) => readAt(fd, offset, length),
    close: () => closeSync(fd),
  };
}

function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
