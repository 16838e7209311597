// Looks at the host before anything is made: what is missing is said here, in one sentence each.

import { existsSync, statSync } from "node:fs";
import { UserError } from "../errors.ts";
import {
  type Controller,
  findHierarchy,
  type Hierarchy,
  neededControllers,
} from "./control_groups.ts";
import { checkExecutable, mayExecute } from "./executable.ts";
import { readMounts } from "./mount_table.ts";
import type { JailOptions } from "./options.ts";
import { type HostFacts, jailRoot, type SourceFacts } from "./plan.ts";

/** Throws unless the process may make namespaces, mounts and devices. */
export function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new UserError("ozone makes namespaces, mounts and device nodes: run it as root.");
}

/** The sentence for a name whose jail, or what is left of it, exists. */
export function nameInUse(name: string, path: string): UserError {
  return new UserError(
    `The name '${name}' is in use: ${path} exists; choose another, or run ozone with the same ` +
      "-name and -exec_file and -clean-resource.",
  );
}

function sourceFacts(path: string): SourceFacts {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new UserError(`The source '${path}' does not exist.`);
  if (stats.isFile() && stats.size === 0) {
    throw new UserError(`The source '${path}' is an empty file; give one with content.`);
  }
  return { path, kind: stats.isDirectory() ? "folder" : "file" };
}

function checkNumaNode(node: number): void {
  if (existsSync(`/sys/devices/system/node/node${node}`)) return;
  throw new UserError(
    `The host has no NUMA node ${node} of -numa; see /sys/devices/system/node/online.`,
  );
}

/** What planJail needs to know. Throws a UserError for what cannot work on this host. */
export function inspectHost(options: JailOptions): HostFacts {
  const root = jailRoot(options.program, options.name);
  if (existsSync(root)) throw nameInUse(options.name, root);
  const program = checkExecutable(options.program);
  const sources = options.sources.map(sourceFacts);
  const network = options.networkNamespace;
  if (network !== undefined && !existsSync(network)) {
    throw new UserError(
      `The network namespace '${network}' of -netns does not exist; make it with 'ip netns add'.`,
    );
  }
  if (options.numaNode !== undefined) checkNumaNode(options.numaNode);
  const mounts = readMounts();
  const settings = { ...options.groupLimits, numaNode: options.numaNode };
  const hierarchies = new Map<Controller, Hierarchy>(
    neededControllers(settings).map((controller) => [
      controller,
      findHierarchy(controller, mounts),
    ]),
  );
  return {
    sources,
    hierarchies,
    programExecutable: mayExecute(program, options.uid, options.gid),
  };
}
