// -clean-resource: removes what a jail left, from what is there and not from what was asked for
// at its start, so that it also works after the launcher was killed at any moment.

import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { UserError } from "../errors.ts";
import { controlMounts } from "./control_groups.ts";
import { requireRoot } from "./host_facts.ts";
import { unmount } from "./jail_calls.ts";
import { withLock } from "./lock.ts";
import { isWithin, readMounts } from "./mount_table.ts";
import { removeIfEmpty } from "./perform.ts";
import { jailRoot, jailsFolder } from "./plan.ts";

const busyRetryCount = 100;
const busyRetryMs = 10;

/** Processes whose root is this folder, also through another mount of it. */
export function processesWithRoot(root: string): number[] {
  const wanted = statSync(root, { throwIfNoEntry: false });
  if (wanted === undefined) return [];
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const inside = processes.filter((pid) => {
    try {
      const stats = statSync(`/proc/${pid}/root`);
      return stats.ino === wanted.ino && stats.dev === wanted.dev;
    } catch {
      // It ended in between.
      return false;
    }
  });
  return inside.map(Number).sort((a, b) => a - b);
}

function processInGroup(group: string): number | undefined {
  const [first = ""] = readFileSync(`${group}/cgroup.procs`, "latin1").split("\n");
  return first === "" ? undefined : Number(first);
}

function unmountWithin(path: string): void {
  // The table has no links in its paths.
  const root = realpathSync(path);
  const inside = () => readMounts().filter((mount) => isWithin(mount.target, root));
  // Later mounts are on top of earlier ones.
  for (const mount of inside().toReversed()) unmount(mount.target);
  const left = inside()[0];
  if (left === undefined) return;
  // Else the removal would go through the mount, into someone's files.
  throw new UserError(`Cannot clean ${root}: ${left.target} is still mounted; unmount it first.`);
}

/** The kernel lets a group go a moment after its last process. */
function removeGroup(path: string): void {
  for (let attempt = 0; ; attempt += 1) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "EBUSY" || attempt === busyRetryCount) {
        throw new UserError(`Cannot remove the control group ${path}: ${code}.`);
      }
      Bun.sleepSync(busyRetryMs);
    }
  }
}

/**
 * Removes mounts, root, control groups, and the folders that only this jail used. Says false when
 * there was nothing. Throws a UserError while the jail is in use.
 */
export function cleanJail(program: string, name: string): boolean {
  requireRoot();
  return withLock(() => removeJail(program, name));
}

function removeJail(program: string, name: string): boolean {
  const root = jailRoot(program, name);
  const parents = controlMounts(readMounts())
    .map((mount) => `${mount}/${basename(program)}`)
    .filter((parent) => existsSync(parent));
  const groups = parents.map((parent) => `${parent}/${name}`).filter((path) => existsSync(path));
  const [running] = [...processesWithRoot(root), ...groups.flatMap((g) => processInGroup(g) ?? [])];
  if (running !== undefined) {
    throw new UserError(
      `The jail '${name}' is in use by process ${running}; end it before -clean-resource.`,
    );
  }
  const found = existsSync(root) || groups.length > 0;
  if (existsSync(root)) {
    unmountWithin(root);
    rmSync(root, { recursive: true });
  }
  groups.forEach(removeGroup);
  parents.forEach(removeIfEmpty);
  removeIfEmpty(dirname(root));
  removeIfEmpty(jailsFolder);
  return found;
}
