// Standard error as the place of the log: a pipe that nobody reads, a terminal that is held, a full
// disk. None of them is waited for.

import { constants } from "node:fs";
import { writeNow } from "../core/host_calls.ts";
import { type OwnDescriptor, openWithoutBlocking } from "../files.ts";

export const STANDARD_ERROR = 2;

export class StandardError {
  /** Opened with the first line: most machines log none. */
  #own: OwnDescriptor | undefined;

  /** Returns how many bytes were taken. */
  write(bytes: Uint8Array): number {
    this.#own ??= openWithoutBlocking(STANDARD_ERROR, constants.O_WRONLY);
    return writeNow(this.#own.fd, bytes);
  }

  close(): void {
    this.#own?.close();
    this.#own = undefined;
  }
}
