// File system calls that every layer may need, made so that the system call filters allow them.

import { closeSync, constants, fstatSync, openSync, unlinkSync } from "node:fs";

/** Removes a file that this process made; one that is gone already is as good. */
export function removeOwnFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else removed it.
  }
}

export interface OwnDescriptor {
  readonly fd: number;
  close(): void;
}

/**
 * A terminal or pipe as an open file of our own that never blocks: that of the user is shared with
 * the programs that gave it to us, which expect it to block. Where it cannot be opened again, it
 * is used as it is.
 */
export function openWithoutBlocking(fd: number, mode: number): OwnDescriptor {
  const asItIs = { fd, close: () => {} };
  try {
    const status = fstatSync(fd);
    if (!status.isFIFO() && !status.isCharacterDevice()) return asItIs;
    const flags = mode | constants.O_NONBLOCK | constants.O_NOCTTY;
    const own = openSync(`/proc/self/fd/${fd}`, flags);
    return { fd: own, close: () => closeSync(own) };
  } catch {
    return asItIs;
  }
}
