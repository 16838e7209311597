// From options and what the host has to the ordered steps of a jail; pure. The layout and order
// follow upstream's (behaviour 6.2), but mounts live in a namespace of the launcher's own from the
// start, so that they end with it however it ends.

import { basename } from "node:path";
import { UserError } from "../errors.ts";
import { type Hierarchies, planGroups } from "./control_groups.ts";
import type { JailOptions } from "./options.ts";
import type { DeviceNode, Owner, Step } from "./step.ts";

/** The folder of all jails. */
export const jailsFolder = "/srv/ozone";

export interface SourceFacts {
  /** As the user wrote it. */
  readonly path: string;
  readonly kind: "file" | "folder";
}

/** What a plan has to know of the host. */
export interface HostFacts {
  readonly sources: readonly SourceFacts[];
  readonly hierarchies: Hierarchies;
  /** Whether the program's own file may be executed by the jail's user. */
  readonly programExecutable: boolean;
}

export interface JailPlan {
  readonly root: string;
  readonly steps: readonly Step[];
  /** Control groups that the program joins. */
  readonly groups: readonly string[];
  /** Path inside the jail. */
  readonly program: string;
}

/** Character devices and modes of upstream's ozone; numbers of linux/Documentation devices.txt. */
const deviceNodes: readonly DeviceNode[] = [
  { name: "kvm", major: 10, minor: 232, mode: 0o660 },
  { name: "net/tun", major: 10, minor: 200, mode: 0o666 },
  { name: "vhost-net", major: 10, minor: 238, mode: 0o600 },
  { name: "vhost-vsock", major: 10, minor: 241, mode: 0o600 },
  { name: "urandom", major: 1, minor: 9, mode: 0o666 },
  { name: "null", major: 1, minor: 3, mode: 0o666 },
];

/** /srv/ozone/{base name of the executable}/{name}, as upstream has it. */
export function jailRoot(program: string, name: string): string {
  return `${jailsFolder}/${basename(program)}/${name}`;
}

function sourceSteps(
  root: string,
  owner: Owner,
  taken: readonly string[],
  sources: readonly SourceFacts[],
): Step[] {
  const names = new Set(taken);
  return sources.map(({ path, kind }) => {
    const name = basename(path);
    if (name === "" || name === "." || name === "..") {
      throw new UserError(`The source '${path}' has no base name to have in the jail.`);
    }
    if (names.has(name)) {
      throw new UserError(
        `The source '${path}' would be /${name} in the jail, which is taken; rename one of them.`,
      );
    }
    names.add(name);
    const target = `${root}/${name}`;
    return { kind: "bindSource", source: path, target, folder: kind === "folder", owner };
  });
}

/** The steps before the program's start, in order. Throws a UserError for sources that collide. */
export function planJail(options: JailOptions, facts: HostFacts): JailPlan {
  const owner = { uid: options.uid, gid: options.gid };
  const base = basename(options.program);
  const root = jailRoot(options.program, options.name);
  const { steps: groupSteps, groups } = planGroups(
    facts.hierarchies,
    { program: base, name: options.name },
    { ...options.groupLimits, numaNode: options.numaNode },
  );
  const network: Step[] =
    options.networkNamespace === undefined
      ? []
      : [{ kind: "joinNetwork", path: options.networkNamespace }];
  const steps: Step[] = [
    { kind: "makeParentFolder", path: jailsFolder },
    { kind: "makeParentFolder", path: `${jailsFolder}/${base}` },
    { kind: "makeRoot", path: root, owner },
    ...groupSteps,
    { kind: "isolateMounts" },
    { kind: "bindRoot", path: root },
    {
      kind: "placeProgram",
      source: options.program,
      target: `${root}/${base}`,
      method: facts.programExecutable ? "bind" : "copy",
      owner,
    },
    ...sourceSteps(root, owner, [base, "dev"], facts.sources),
    { kind: "makeFolder", path: `${root}/dev`, owner },
    { kind: "makeFolder", path: `${root}/dev/net`, owner },
    ...deviceNodes.map(
      (node): Step => ({ kind: "makeNode", path: `${root}/dev/${node.name}`, node, owner }),
    ),
    { kind: "isolateHostName", name: "Ozone" },
    { kind: "isolateIpc" },
    ...network,
  ];
  return { root, steps, groups, program: `/${base}` };
}
