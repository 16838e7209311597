// Where a lab keeps its state, and how to tell whether its host is running.

import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cachePath, checkout, checkoutKey } from "../lib/paths.ts";

/** A folder that the lab's host sees read-write under the same name, like the checkout. */
export const labShare = `/tmp/stratovirt-${checkoutKey}`;

export interface LabState {
  folder: string;
  pidFile: string;
  lock: string;
  address: string;
  token: string;
  ready: string;
  consoleLog: string;
  shares: string[];
}

/**
 * The state of the lab of this checkout, or of another one that STRATOVIRT_LAB names (tests of
 * the lab).
 */
export function labState(name = process.env.STRATOVIRT_LAB ?? "vm"): LabState {
  const folder = cachePath("lab", name);
  mkdirSync(labShare, { recursive: true, mode: 0o700 });
  return {
    folder,
    pidFile: join(folder, "pid"),
    lock: join(folder, "lock"),
    address: join(folder, "address.json"),
    token: join(folder, "token"),
    ready: join(folder, "ready"),
    consoleLog: join(folder, "console.log"),
    shares: [checkout, labShare],
  };
}

/**
 * The process id of the lab's QEMU, or undefined: a pid that another program has now does not
 * count.
 */
export function runningPid(state: LabState): number | undefined {
  const pid = writtenPid(state);
  if (pid === undefined) return undefined;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.includes(state.pidFile) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether a process that was killed still holds its files, such as the locks of disk images: it
 * has no command line any more, and not all of its threads are gone.
 */
export function isEnding(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    const isZombie = status.slice(status.lastIndexOf(")") + 2).startsWith("Z");
    const isGone = isZombie && readdirSync(`/proc/${pid}/task`).length === 1;
    return !isGone && readFileSync(`/proc/${pid}/cmdline`, "utf8") === "";
  } catch {
    return false;
  }
}

/** The process id that was written when the lab was started. */
export function writtenPid(state: LabState): number | undefined {
  if (!existsSync(state.pidFile)) return undefined;
  return Number.parseInt(readFileSync(state.pidFile, "utf8"), 10);
}
