// A template that is being written: two files under names of their own, until one rename puts it in
// the place of the old one. Whoever dies on the way leaves the old template or the new one.
//
// 'state' names the memory that it belongs to by an id, which 'memory' has, or 'memory.new' for the
// moment between two renames. A lock on 'memory.new' keeps a second writer out.

import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { pathModule } from "../../builtin.ts";
import type { Core } from "../../core/core.ts";
import { lockFile } from "../../core/host_calls.ts";
import { errorCode, UserError } from "../../errors.ts";
import { removeOwnFile } from "../../files.ts";
import { encodeMemoryHeader } from "./memory_header.ts";
import { sha256 } from "./state_file.ts";
import { readMemoryId, readState, TEMPLATE_FILE } from "./template.ts";

/** Whoever reads guest memory reads all its secrets. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Rounds of a race with another writer that ends in the meantime. */
const ATTEMPT_COUNT = 3;

export class TemplateDraft {
  readonly folder: string;
  readonly id: string;
  /** Of the file for guest memory; open until the draft is committed or abandoned. */
  readonly memoryFd: number;

  private constructor(folder: string, id: string, memoryFd: number) {
    this.folder = folder;
    this.id = id;
    this.memoryFd = memoryFd;
  }

  /**
   * Makes the folder if it is missing, tidies up after a writer that died, and begins the file of
   * memory. Throws a UserError when the folder cannot be written or another machine writes to it.
   */
  static begin(core: Core, folder: string): TemplateDraft {
    const id = newId(folder);
    try {
      makeFolder(folder);
      const draft = new TemplateDraft(folder, id, openNew(core, folder));
      draft.#writeHeader();
      return draft;
    } catch (error) {
      throw error instanceof UserError ? error : unwritable(folder, errorCode(error));
    }
  }

  #writeHeader(): void {
    try {
      writeAll(this.memoryFd, encodeMemoryHeader(this.id));
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /**
   * Makes the draft the folder's template. Guest memory must be on the disk before. Throws a
   * UserError when the state cannot be written: the old template is there still.
   */
  commit(state: Uint8Array): void {
    const paths = pathsOf(this.folder);
    try {
      removeOwnFile(paths.newState);
      writeThrough(paths.newState, constants.O_CREAT | constants.O_EXCL, state);
      renameSync(paths.newState, paths.state);
    } catch (error) {
      throw unwritable(this.folder, errorCode(error));
    }
    try {
      renameSync(paths.newMemory, paths.memory);
      // On some file systems a file that is written through takes its renames to the disk, on
      // others a folder has to be synchronized; fsync, which would do, is filtered.
      writeThrough(paths.state, 0, state.subarray(0, 1));
      synchronizeFolder(this.folder);
      synchronizeFolder(pathModule().dirname(this.folder));
    } catch {
      // The template is complete under the other name of its memory, which the next one corrects.
    } finally {
      closeSync(this.memoryFd);
    }
  }

  /** Leaves the folder as it was, but for being there. */
  abandon(): void {
    const paths = pathsOf(this.folder);
    removeOwnFile(paths.newState);
    removeOwnFile(paths.newMemory);
    closeSync(this.memoryFd);
  }
}

/** Differs from those of all earlier templates; to ask the runtime for a random one is filtered. */
function newId(folder: string): string {
  const words = [folder, process.pid, Date.now(), process.hrtime.bigint()].join(" ");
  return sha256(new TextEncoder().encode(words)).toHex();
}

function pathsOf(folder: string) {
  const [memory, newMemory] = TEMPLATE_FILE.memory.map((name) => `${folder}/${name}`) as [
    string,
    string,
  ];
  const state = `${folder}/${TEMPLATE_FILE.state}`;
  return { state, newState: `${state}.new`, memory, newMemory };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: FOLDER_MODE });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
}

/** Where it may be read; a user may make a template in a folder that it cannot list. */
function synchronizeFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Neither a link leads elsewhere, nor does a pipe wait for its other end. */
const NEW_MEMORY_FLAGS =
  constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A fresh file of memory, locked until it is closed. */
function openNew(core: Core, folder: string): number {
  const { newMemory } = pathsOf(folder);
  for (let attempt = 0; attempt < ATTEMPT_COUNT; attempt += 1) {
    const fd = openSync(newMemory, NEW_MEMORY_FLAGS, FILE_MODE);
    let isFresh = false;
    try {
      lock(core, folder, fd);
      const status = fstatSync(fd);
      if (!status.isFile()) throw unwritable(folder, "EISDIR");
      if (status.ino !== statSync(newMemory, { throwIfNoEntry: false })?.ino) continue;
      isFresh = status.size === 0;
      if (isFresh) return fd;
      tidy(folder, fd);
    } finally {
      if (!isFresh) closeSync(fd);
    }
  }
  throw busy(folder);
}

/** A writer died: its memory gets its right name if its state has, else both go. */
function tidy(folder: string, fd: number): void {
  const { state, newState, memory, newMemory } = pathsOf(folder);
  removeOwnFile(newState);
  if (isOfState(state, fd)) renameSync(newMemory, memory);
  else removeOwnFile(newMemory);
}

function isOfState(state: string, fd: number): boolean {
  try {
    return readState(state).manifest.id === readMemoryId(state, fd);
  } catch {
    // One of the two is no whole file, so that they are no template.
    return false;
  }
}

function lock(core: Core, folder: string, fd: number): void {
  try {
    lockFile(core, fd, "exclusive");
  } catch {
    throw busy(folder);
  }
}

function busy(folder: string): UserError {
  return new UserError(
    `Another machine is being saved to '${folder}'; wait for it or name another folder.`,
  );
}

function writeThrough(path: string, flags: number, bytes: Uint8Array): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_SYNC | flags, FILE_MODE);
  try {
    writeAll(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done);
}

/** Why the folder cannot be written, by the error's name, and what to do about it. */
export function unwritable(folder: string, code: string): UserError {
  return new UserError(`The template '${folder}' ${reasonOf(code)}`);
}

function reasonOf(code: string): string {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `cannot be written: the disk is full (${code}); make room or name another folder.`;
    case "ENOENT":
      return "cannot be made: the folder above it does not exist; make that first.";
    case "ENOTDIR":
      return "is no folder, or something above it is none; name another one.";
    case "EISDIR":
      return "holds a folder or a pipe where its files belong; name another one.";
    case "ELOOP":
      return "holds a link where its files belong; name another one.";
    case "EACCES":
    case "EPERM":
      return `may not be written by user ${process.getuid?.() ?? "?"}; change its permissions.`;
    case "EROFS":
      return "lies on a read-only file system; name another folder.";
    default:
      return `cannot be written (${code}); name another folder.`;
  }
}
