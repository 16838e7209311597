// File system calls that every layer may need, made so that the system call filters allow them.

import { unlinkSync } from "node:fs";

/** Removes a file that this process made; one that is gone already is as good. */
export function removeOwnFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else removed it.
  }
}
