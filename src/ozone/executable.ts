// Checks that a program can start in a root without libraries (System V gABI, chapters 4 and 5).

import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { UserError } from "../errors.ts";

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PROGRAM_HEADER_COUNT_MAX = 512;
const PT_INTERP = 3;
const machineNumbers: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

function readAt(fd: number, position: number, size: number): DataView {
  const bytes = new Uint8Array(size);
  const count = readSync(fd, bytes, 0, size, position);
  return new DataView(bytes.buffer, 0, count);
}

function whyNot(fd: number): string | undefined {
  const header = readAt(fd, 0, HEADER_SIZE);
  const isElf = header.byteLength === HEADER_SIZE && header.getUint32(0) === 0x7f454c46;
  if (!isElf || header.getUint8(4) !== 2 || header.getUint8(5) !== 1) {
    return "is not a 64-bit ELF executable";
  }
  const wanted = machineNumbers[process.arch];
  if (header.getUint16(18, true) !== wanted) {
    return `is not made for this machine (${process.arch})`;
  }
  const offset = Number(header.getBigUint64(32, true));
  const count = header.getUint16(56, true);
  if (count === 0 || count > PROGRAM_HEADER_COUNT_MAX) return "has no usable program headers";
  const table = readAt(fd, offset, count * PROGRAM_HEADER_SIZE);
  for (let at = 0; at + PROGRAM_HEADER_SIZE <= table.byteLength; at += PROGRAM_HEADER_SIZE) {
    if (table.getUint32(at, true) === PT_INTERP) return "is not statically linked";
  }
  return undefined;
}

/** The file's status. Throws a UserError when it is no static executable for this machine. */
export function checkExecutable(path: string): Stats {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "does not exist" : `cannot be opened (${code})`;
    throw new UserError(`The executable '${path}' of -exec_file ${why}.`);
  }
  try {
    const stats = fstatSync(fd);
    const why = stats.isFile() ? whyNot(fd) : "is not a file";
    if (why === undefined) return stats;
    const what = "give a statically linked executable, since a jail holds no libraries";
    throw new UserError(`The executable '${path}' of -exec_file ${why}; ${what}.`);
  } finally {
    closeSync(fd);
  }
}

/** Whether the file's mode lets this user and group execute it. */
export function mayExecute(stats: Stats, uid: number, gid: number): boolean {
  if (stats.uid === uid) return (stats.mode & 0o100) !== 0;
  if (stats.gid === gid) return (stats.mode & 0o010) !== 0;
  return (stats.mode & 0o001) !== 0;
}
