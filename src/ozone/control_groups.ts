// Where the host has its cpuset and memory controllers, cgroup v1 or v2, and the steps that make a
// group for a jail there (cgroups(7)). Groups are {mount}/{program}/{name}, as upstream's.

import { existsSync, readFileSync } from "node:fs";
import { UserError } from "../errors.ts";
import type { Mount } from "./mount_table.ts";
import type { Step } from "./step.ts";

export type Controller = "cpuset" | "memory";

/** A hierarchy that has a controller. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mount: string;
}

export type Hierarchies = ReadonlyMap<Controller, Hierarchy>;

/** What the group is to have; undefined leaves it as its parent's. */
export interface GroupSettings {
  readonly cpus: string | undefined;
  readonly numaNode: number | undefined;
  readonly memoryBytes: bigint | undefined;
}

/** Every mounted hierarchy, also without the controllers: what -clean-resource looks through. */
export function controlMounts(mounts: readonly Mount[]): string[] {
  const types = ["cgroup", "cgroup2"];
  return [...new Set(mounts.filter((m) => types.includes(m.type)).map((m) => m.target))];
}

function controllersOf(folder: string): string[] {
  const file = `${folder}/cgroup.controllers`;
  return existsSync(file) ? readFileSync(file, "latin1").trim().split(" ") : [];
}

/** Finds where a controller is. Throws a UserError when the host has none. */
export function findHierarchy(controller: Controller, mounts: readonly Mount[]): Hierarchy {
  const first = mounts.find((m) => m.type === "cgroup" && m.options.includes(controller));
  if (first !== undefined) return { version: 1, mount: first.target };
  const unified = mounts.filter((m) => m.type === "cgroup2");
  const second = unified.find((m) => controllersOf(m.target).includes(controller));
  if (second !== undefined) return { version: 2, mount: second.target };
  const list = `${unified[0]?.target}/cgroup.controllers does not list it`;
  const place = unified[0] === undefined ? "no cgroup file system is mounted with it" : list;
  throw new UserError(
    `The cgroup controller '${controller}' is missing on this host: ${place}; enable it, or ` +
      "leave out the -cgroup and -numa values that need it.",
  );
}

/** The controllers that the settings need. */
export function neededControllers(settings: GroupSettings): Controller[] {
  const needed: Controller[] = [];
  if (settings.cpus !== undefined || settings.numaNode !== undefined) needed.push("cpuset");
  if (settings.memoryBytes !== undefined) needed.push("memory");
  return needed;
}

function valuesOf(
  controller: Controller,
  version: 1 | 2,
  settings: GroupSettings,
): [string, string][] {
  if (controller === "memory") {
    if (settings.memoryBytes === undefined) return [];
    const file = version === 1 ? "memory.limit_in_bytes" : "memory.max";
    return [[file, settings.memoryBytes.toString()]];
  }
  const values: [string, string][] = [];
  if (settings.numaNode !== undefined) values.push(["cpuset.mems", String(settings.numaNode)]);
  if (settings.cpus !== undefined) values.push(["cpuset.cpus", settings.cpus]);
  return values;
}

function stepsOfHierarchy(
  hierarchy: Hierarchy,
  controllers: readonly Controller[],
  names: { readonly program: string; readonly name: string },
  settings: GroupSettings,
): Step[] {
  const { mount, version } = hierarchy;
  const parent = `${mount}/${names.program}`;
  const group = `${parent}/${names.name}`;
  const steps: Step[] = [];
  const enable = (path: string) => {
    if (version === 2) steps.push({ kind: "enableControllers", path, controllers });
  };
  enable(mount);
  steps.push({ kind: "makeParentGroup", path: parent });
  // A v1 cpuset starts empty and takes no process in before it has both lists.
  const inherits = version === 1 && controllers.includes("cpuset");
  if (inherits) steps.push({ kind: "inheritCpuset", path: parent, from: mount });
  enable(parent);
  steps.push({ kind: "makeGroup", path: group });
  for (const controller of controllers) {
    for (const [file, value] of valuesOf(controller, version, settings)) {
      steps.push({ kind: "setGroupValue", path: `${group}/${file}`, value });
    }
  }
  if (inherits) steps.push({ kind: "inheritCpuset", path: group, from: parent });
  return steps;
}

/** The steps, and the groups to join. */
export function planGroups(
  hierarchies: Hierarchies,
  names: { readonly program: string; readonly name: string },
  settings: GroupSettings,
): { readonly steps: Step[]; readonly groups: string[] } {
  const byMount = new Map<string, { hierarchy: Hierarchy; controllers: Controller[] }>();
  for (const [controller, hierarchy] of hierarchies) {
    const known = byMount.get(hierarchy.mount);
    if (known === undefined) byMount.set(hierarchy.mount, { hierarchy, controllers: [controller] });
    else known.controllers.push(controller);
  }
  const all = [...byMount.values()];
  return {
    steps: all.flatMap(({ hierarchy, controllers }) =>
      stepsOfHierarchy(hierarchy, controllers, names, settings),
    ),
    groups: all.map(({ hierarchy }) => `${hierarchy.mount}/${names.program}/${names.name}`),
  };
}
