// Launchers and cleaners of one host share folders that the last jail takes along: they change
// them one at a time, under a lock of the folder above, which leaves nothing behind.

import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { UserError } from "../errors.ts";
import { JailCallError, lock } from "./jail_calls.ts";
import { jailsFolder } from "./plan.ts";

const retryCount = 3000;
const retryMs = 10;

function openLocked(folder: string): number {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const descriptor = openSync(folder, "r");
  for (let attempt = 0; attempt < retryCount; attempt += 1) {
    try {
      lock(descriptor);
      return descriptor;
    } catch (error) {
      if (!(error instanceof JailCallError) || error.code !== "EAGAIN") throw error;
      Bun.sleepSync(retryMs);
    }
  }
  closeSync(descriptor);
  const seconds = (retryCount * retryMs) / 1000;
  throw new UserError(
    `Another process holds the lock of ${folder} for ${seconds} s; end it first.`,
  );
}

/** Runs `action` while no other launcher or cleaner does. */
export function withLock<T>(action: () => T): T {
  const descriptor = openLocked(dirname(jailsFolder));
  try {
    return action();
  } finally {
    closeSync(descriptor);
  }
}
