// The steps that make a jail. A plan is a list of them; run.ts does and undoes them in order.

import type { Controller } from "./control_groups.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export type Step =
  | {
      readonly kind: "enableControllers";
      readonly path: string;
      readonly controllers: readonly Controller[];
    }
  | { readonly kind: "makeParentGroup"; readonly path: string }
  | { readonly kind: "makeGroup"; readonly path: string }
  | { readonly kind: "inheritCpuset"; readonly path: string; readonly from: string }
  | { readonly kind: "setGroupValue"; readonly path: string; readonly value: string }
  /** A folder that jails share; it goes with the last of them. */
  | { readonly kind: "makeParentFolder"; readonly path: string }
  | { readonly kind: "makeRoot"; readonly path: string; readonly owner: Owner }
  | { readonly kind: "makeFolder"; readonly path: string; readonly owner: Owner }
  | { readonly kind: "isolateMounts" }
  | { readonly kind: "bindRoot"; readonly path: string }
  | {
      readonly kind: "placeProgram";
      readonly source: string;
      readonly target: string;
      readonly method: "bind" | "copy";
      readonly owner: Owner;
    }
  | {
      readonly kind: "bindSource";
      readonly source: string;
      readonly target: string;
      readonly folder: boolean;
      readonly owner: Owner;
    }
  | {
      readonly kind: "makeNode";
      readonly path: string;
      readonly node: DeviceNode;
      readonly owner: Owner;
    }
  | { readonly kind: "isolateHostName"; readonly name: string }
  | { readonly kind: "isolateIpc" }
  | { readonly kind: "joinNetwork"; readonly path: string };

export interface DeviceNode {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
}

/** What a step does, to go after "Cannot". */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case "enableControllers": {
      const names = step.controllers.join(" and ");
      return `enable the controllers ${names} in ${step.path}/cgroup.subtree_control`;
    }
    case "makeParentGroup":
    case "makeGroup":
      return `make the control group ${step.path}`;
    case "inheritCpuset":
      return `give the control group ${step.path} the processors and memory nodes of ${step.from}`;
    case "setGroupValue":
      return `write '${step.value}' to ${step.path}`;
    case "makeParentFolder":
    case "makeFolder":
      return `make the folder ${step.path}`;
    case "makeRoot":
      return `make the jail's root ${step.path}`;
    case "isolateMounts":
      return "make a mount namespace";
    case "bindRoot":
      return `mount the jail's root ${step.path}`;
    case "placeProgram":
      return `put the executable ${step.source} at ${step.target}`;
    case "bindSource":
      return `bind the source ${step.source} to ${step.target}`;
    case "makeNode":
      return `make the device node ${step.path}`;
    case "isolateHostName":
      return `make a UTS namespace with the host name '${step.name}'`;
    case "isolateIpc":
      return "make an IPC namespace";
    case "joinNetwork":
      return `join the network namespace ${step.path}`;
  }
}
