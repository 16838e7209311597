// A disk image from its keys, as -drive and QMP's blockdev-add give them (behaviour 1.7).

import { UserError } from "../errors.ts";
import type { DriveConfig } from "./config.ts";
import { driveKeys } from "./declarations/backends.ts";
import { parseKeys } from "./parse.ts";
import type { KeyValues } from "./schema.ts";

/** Reads one -drive. */
export function buildDrive(source: string): DriveConfig {
  return driveOf(parseKeys("-drive", driveKeys, source));
}

/** Fills in how requests reach the host: native if direct, else off. */
export function driveOf(keys: KeyValues<typeof driveKeys>): DriveConfig {
  const { id, file, readonly, direct, discard, detectZeroes } = keys;
  const aio = keys.aio ?? (direct ? "native" : "off");
  const iopsLimit = keys.throttlingIopsTotal;
  return { id, file, readonly, direct, aio, format: "raw", discard, detectZeroes, iopsLimit };
}

/** Refuses what does not fit together. */
export function checkDrive({ id, aio, direct }: DriveConfig): void {
  if (aio === "native" && !direct) {
    const fix = "use direct=on, or aio=io_uring or aio=off";
    throw new UserError(`The drive '${id}' has aio=native with direct=off; ${fix}.`);
  }
  if (aio === "off" && direct) {
    const fix = "use direct=off, or aio=native or aio=io_uring";
    throw new UserError(`The drive '${id}' has aio=off with direct=on; ${fix}.`);
  }
}
