// Does one step of a plan, and notes at once how to undo each part of it. Only synchronous calls:
// they run on this thread, whose namespaces differ from those of the runtime's other threads.

import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { nameInUse } from "./host_facts.ts";
import * as jail from "./jail_calls.ts";
import { MountFlag, Namespace } from "./jail_calls.ts";
import type { Owner, Step } from "./step.ts";

export interface Progress {
  /** Adds what takes back what was just done; the last one runs first. */
  undo(action: () => void): void;
  warn(sentence: string): void;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Removes a folder unless others still use it. */
export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST", "EBUSY"].includes(codeOf(error) ?? "")) throw error;
  }
}

function give(path: string, mode: number, owner: Owner): void {
  // The umask may have taken bits away.
  chmodSync(path, mode);
  chownSync(path, owner.uid, owner.gid);
}

function makeParent(path: string, progress: Progress): void {
  const made = mkdirSync(path, { recursive: true, mode: 0o755 });
  if (made !== undefined) progress.undo(() => removeIfEmpty(path));
}

function makeRoot(path: string, owner: Owner, progress: Progress): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw codeOf(error) === "EEXIST" ? nameInUse(basename(path), path) : error;
  }
  progress.undo(() => rmdirSync(path));
  give(path, 0o700, owner);
}

function makeFolder(path: string, owner: Owner, progress: Progress): void {
  mkdirSync(path, { mode: 0o700 });
  progress.undo(() => rmdirSync(path));
  give(path, 0o700, owner);
}

function makeGroup(path: string, progress: Progress): void {
  try {
    mkdirSync(path);
  } catch (error) {
    throw codeOf(error) === "EEXIST" ? nameInUse(basename(path), path) : error;
  }
  progress.undo(() => rmdirSync(path));
}

function enableControllers(path: string, controllers: readonly string[], progress: Progress): void {
  const file = `${path}/cgroup.subtree_control`;
  const enabled = readFileSync(file, "latin1").trim().split(" ");
  for (const controller of controllers.filter((name) => !enabled.includes(name))) {
    writeFileSync(file, `+${controller}`);
    progress.undo(() => {
      try {
        writeFileSync(file, `-${controller}`);
      } catch {
        // Another group came to use it meanwhile.
      }
    });
  }
}

function inheritCpuset(path: string, from: string): void {
  for (const name of ["cpuset.cpus", "cpuset.mems"]) {
    if (readFileSync(`${path}/${name}`, "latin1").trim() !== "") continue;
    writeFileSync(`${path}/${name}`, readFileSync(`${from}/${name}`, "latin1").trim());
  }
}

function isolateMounts(): void {
  jail.unshare(Namespace.mount);
  // Nothing mounted from here on shows in the host's namespace.
  jail.mount("none", "/", MountFlag.slave | MountFlag.recursive);
}

function bind(source: string, target: string, flags: number, progress: Progress): void {
  jail.mount(source, target, MountFlag.bind | MountFlag.recursive);
  progress.undo(() => jail.unmount(target));
  if (flags === 0) return;
  jail.mount("none", target, MountFlag.bind | MountFlag.remount | flags);
}

function makeEmptyFile(path: string, progress: Progress): void {
  closeSync(openSync(path, "wx", 0o600));
  progress.undo(() => unlinkSync(path));
}

function placeProgram(step: Step & { kind: "placeProgram" }, progress: Progress): void {
  const { source, target, owner } = step;
  makeEmptyFile(target, progress);
  const copy = (why: string) => {
    progress.warn(`${source} is copied into the jail, which takes time and memory: ${why}.`);
    copyFileSync(source, target);
    give(target, 0o500, owner);
  };
  if (step.method === "copy") {
    copy(`uid ${owner.uid} may not execute the file itself`);
    return;
  }
  try {
    jail.mount(source, target, MountFlag.bind);
  } catch (error) {
    copy(`it cannot be bound (${codeOf(error)})`);
    return;
  }
  progress.undo(() => jail.unmount(target));
  const flags = MountFlag.readOnly | MountFlag.noSuid | MountFlag.noDevices;
  jail.mount("none", target, MountFlag.bind | MountFlag.remount | flags);
}

function bindSource(step: Step & { kind: "bindSource" }, progress: Progress): void {
  const { source, target, owner } = step;
  if (step.folder) {
    mkdirSync(target, { mode: 0o700 });
    progress.undo(() => rmdirSync(target));
  } else {
    makeEmptyFile(target, progress);
  }
  bind(source, target, 0, progress);
  giveSource(target, owner, progress);
}

/** Gives the host's own file to the jail's user, as upstream does; the mode stays. */
function giveSource(target: string, owner: Owner, progress: Progress): void {
  const before = statSync(target);
  if (before.uid === owner.uid && before.gid === owner.gid) return;
  try {
    chownSync(target, owner.uid, owner.gid);
  } catch (error) {
    // A kernel image on read-only storage may still be readable for all.
    if (codeOf(error) !== "EROFS") throw error;
    progress.warn(`${target} keeps its owner, since its file system is read-only.`);
    return;
  }
  progress.undo(() => chownSync(target, before.uid, before.gid));
}

function makeNode(step: Step & { kind: "makeNode" }, progress: Progress): void {
  const { path, node, owner } = step;
  jail.makeNode(path, node.mode, node.major, node.minor);
  progress.undo(() => rmSync(path));
  give(path, node.mode, owner);
}

function joinNetwork(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    jail.joinNetwork(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Throws what node:fs or the kernel call threw. */
export function perform(step: Step, progress: Progress): void {
  switch (step.kind) {
    case "enableControllers":
      enableControllers(step.path, step.controllers, progress);
      break;
    case "makeParentGroup":
    case "makeParentFolder":
      makeParent(step.path, progress);
      break;
    case "makeGroup":
      makeGroup(step.path, progress);
      break;
    case "inheritCpuset":
      inheritCpuset(step.path, step.from);
      break;
    case "setGroupValue":
      writeFileSync(step.path, step.value);
      break;
    case "makeRoot":
      makeRoot(step.path, step.owner, progress);
      break;
    case "makeFolder":
      makeFolder(step.path, step.owner, progress);
      break;
    case "isolateMounts":
      isolateMounts();
      break;
    case "bindRoot":
      bind(step.path, step.path, MountFlag.noSuid, progress);
      break;
    case "placeProgram":
      placeProgram(step, progress);
      break;
    case "bindSource":
      bindSource(step, progress);
      break;
    case "makeNode":
      makeNode(step, progress);
      break;
    case "isolateHostName":
      jail.unshare(Namespace.uts);
      jail.setHostName(step.name);
      break;
    case "isolateIpc":
      jail.unshare(Namespace.ipc);
      break;
    case "joinNetwork":
      joinNetwork(step.path);
      break;
  }
}
