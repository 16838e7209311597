// Reads a template's folder: finds the memory that belongs to the state, and refuses what is not
// whole before a machine is made of it.

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { errorCode, UserError } from "../../errors.ts";
import { decodeMemoryHeader, MEMORY_HEADER_SIZE } from "./memory_header.ts";
import { decodeState, type StateFile } from "./state_file.ts";
import { wrongSize } from "./template_error.ts";

/** Upstream's names. The second name of memory is that of a template just written. */
export const TEMPLATE_FILE = { state: "state", memory: ["memory", "memory.new"] } as const;

/** Many times what the largest machine needs. */
const STATE_SIZE_MAX = 2 ** 26;
/** Rounds of a race with a machine that replaces the template. */
const ATTEMPT_COUNT = 3;

export interface Template extends StateFile {
  readonly folder: string;
  readonly memoryFd: number;
  close(): void;
}

/** Opens the template in `folder`. Throws a UserError for the first thing that is wrong. */
export function openTemplate(folder: string): Template {
  let failure: unknown;
  for (let attempt = 0; attempt < ATTEMPT_COUNT; attempt += 1) {
    const state = readState(`${folder}/${TEMPLATE_FILE.state}`);
    const { id, memory } = state.manifest;
    for (const name of TEMPLATE_FILE.memory) {
      try {
        const memoryFd = openMemory(`${folder}/${name}`, { id, size: memory.fileSize });
        return { ...state, folder, memoryFd, close: () => closeSync(memoryFd) };
      } catch (error) {
        failure = name === TEMPLATE_FILE.memory[0] ? error : failure;
      }
    }
  }
  throw failure;
}

/** Reads and checks a file 'state'. */
export function readState(path: string): StateFile {
  const fd = openForReading(path);
  try {
    const { size } = fstatSync(fd);
    if (size > STATE_SIZE_MAX) throw wrongSize(path, size, STATE_SIZE_MAX);
    const bytes = new Uint8Array(size);
    return decodeState(path, bytes.subarray(0, readStart(path, fd, bytes)));
  } finally {
    closeSync(fd);
  }
}

function openMemory(
  path: string,
  expected: { readonly id: string; readonly size: number },
): number {
  const fd = openForReading(path);
  try {
    const id = readMemoryId(path, fd);
    if (id !== expected.id) {
      throw new UserError(
        `The template's file '${path}' belongs to another 'state' than the one beside it; ` +
          "save the machine again.",
      );
    }
    const { size } = fstatSync(fd);
    if (size !== expected.size) throw wrongSize(path, size, expected.size);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A pipe without a writer must not hold a start up. */
function openForReading(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new UserError(`The template's file '${path}' is no regular file; name another template.`);
}

/**
 * Fills `bytes` from the start of a file that was just opened; returns how many there are. Not by a
 * place in the file: a save tidies up under filters that allow no pread.
 */
function readStart(path: string, fd: number, bytes: Uint8Array): number {
  let done = 0;
  while (done < bytes.length) {
    try {
      const count = readSync(fd, bytes, done, bytes.length - done, null);
      if (count === 0) break;
      done += count;
    } catch (error) {
      throw unreadable(path, error);
    }
  }
  return done;
}

/** The id in an open file of memory; `path` is for the sentence. */
export function readMemoryId(path: string, fd: number): string {
  const header = new Uint8Array(MEMORY_HEADER_SIZE);
  return decodeMemoryHeader(path, header.subarray(0, readStart(path, fd, header)));
}

function unreadable(path: string, error: unknown): UserError {
  const code = errorCode(error);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new UserError(
        `The template's file '${path}' does not exist; name a folder to which 'migrate' has ` +
          "saved a machine.",
      );
    case "EACCES":
    case "EPERM": {
      const user = process.getuid?.() ?? "?";
      return new UserError(
        `The template's file '${path}' may not be read by user ${user}; change its permissions.`,
      );
    }
    default:
      return new UserError(`The template's file '${path}' cannot be read (${code}).`);
  }
}
