// What this program is and understands.

import * as v from "valibot";
import { command, empty } from "../command.ts";
import { eventNames } from "../machine_control.ts";
import { versionObject } from "../protocol.ts";

const named = v.array(v.strictObject({ name: v.string() }));

const machineInfo = v.strictObject({
  name: v.string(),
  "hotpluggable-cpus": v.boolean(),
  "numa-mem-supported": v.boolean(),
  "cpu-max": v.number(),
  deprecated: v.boolean(),
});

function machine(name: string): v.InferOutput<typeof machineInfo> {
  return {
    name,
    "hotpluggable-cpus": false,
    "numa-mem-supported": false,
    "cpu-max": 255,
    deprecated: false,
  };
}

export const introspectionCommands = [
  command({
    name: "query-version",
    help: "The version that the greeting shows.",
    args: empty,
    result: v.strictObject({
      qemu: v.strictObject({ micro: v.number(), minor: v.number(), major: v.number() }),
      package: v.string(),
    }),
    run: ({ version }) => ({ result: versionObject(version) }),
  }),
  command({
    name: "query-commands",
    help: "The names of all commands.",
    args: empty,
    result: named,
    run: ({ commands }) => ({ result: commands.map(({ name }) => ({ name })) }),
  }),
  command({
    name: "query-events",
    help: "The names of all events.",
    args: empty,
    result: named,
    run: () => ({ result: eventNames.map((name) => ({ name })) }),
  }),
  command({
    name: "query-qmp-schema",
    help: "Commands, events and their types, in QEMU's introspection format.",
    args: empty,
    result: v.array(v.record(v.string(), v.unknown())),
    run: async ({ commands }) => {
      const { introspect } = await import("../schema/introspect.ts");
      return { result: [...introspect(commands)] };
    },
  }),
  command({
    name: "query-target",
    help: "The architecture of the guest.",
    args: empty,
    result: v.strictObject({ arch: v.picklist(["x86_64", "aarch64"]) }),
    run: () => ({
      result: { arch: process.arch === "arm64" ? ("aarch64" as const) : ("x86_64" as const) },
    }),
  }),
  command({
    name: "query-kvm",
    help: "Whether KVM is there and used.",
    args: empty,
    result: v.strictObject({ enabled: v.boolean(), present: v.boolean() }),
    run: () => ({ result: { enabled: true, present: true } }),
  }),
  command({
    name: "query-machines",
    help: "The boards.",
    args: empty,
    result: v.array(machineInfo),
    run: () => {
      const standard = process.arch === "arm64" ? "virt" : "q35";
      return { result: ["none", "microvm", standard].map(machine) };
    },
  }),
];
