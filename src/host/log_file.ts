// A log file that turns over at 100 MiB or at a new day: PATH is written, PATH1 … PATH6 are older
// (behaviour 1.11). A full disk costs lines, never the machine.

import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { errorCode, UserError } from "../errors.ts";

const MODE = 0o640;
/** A pipe that nobody reads must not hold the machine up. */
const FLAGS =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_APPEND |
  constants.O_NONBLOCK |
  constants.O_NOCTTY;
const SIZE_MAX = 100 * 2 ** 20;
const OLDER_COUNT = 6;

export class LogFile {
  readonly #path: string;
  readonly #sizeMax: number;
  /** Told of the new descriptor when the file turns over. */
  onTurn: (fd: number) => void = () => {};
  #fd: number;
  #size: number;
  #day: number;

  /** Appends to `path`; a UserError when it cannot be opened. */
  constructor(path: string, sizeMax = SIZE_MAX) {
    this.#path = path;
    this.#sizeMax = sizeMax;
    try {
      this.#fd = open(path);
    } catch (error) {
      const code = errorCode(error);
      throw new UserError(
        `The log file '${path}' (-D) cannot be opened (${code}); check the path.`,
      );
    }
    const status = fstatSync(this.#fd);
    this.#size = status.size;
    this.#day = (status.size === 0 ? new Date() : status.mtime).getDate();
  }

  get fd(): number {
    return this.#fd;
  }

  /** Returns how many bytes there was room for. */
  write(bytes: Uint8Array, now: Date): number {
    try {
      if (this.#size + bytes.length > this.#sizeMax || now.getDate() !== this.#day) {
        this.#turnOver(now);
      }
      const count = writeSync(this.#fd, bytes);
      this.#size += count;
      return count;
    } catch {
      // A full disk, mostly: the next line tries again and tells what is missing.
      return 0;
    }
  }

  #turnOver(now: Date): void {
    for (let age = OLDER_COUNT - 1; age >= 0; age -= 1) {
      const from = age === 0 ? this.#path : `${this.#path}${age}`;
      try {
        renameSync(from, `${this.#path}${age + 1}`);
      } catch {
        // Younger than six turns: that file is not there yet.
      }
    }
    const fd = open(this.#path);
    this.onTurn(fd);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#size = 0;
    this.#day = now.getDate();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function open(path: string): number {
  return openSync(path, FLAGS, MODE);
}
