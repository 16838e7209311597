// What the machine consists of: processors, threads, character devices.

import * as v from "valibot";
import { command, empty } from "../command.ts";
import type { CpuInfo } from "../machine_control.ts";

// Clients read die_id with an underscore beside hyphens (behaviour 2.2).
const cpuProps = v.strictObject({
  "socket-id": v.number(),
  die_id: v.number(),
  "core-id": v.number(),
  "thread-id": v.number(),
});

function propsOf(cpu: CpuInfo): v.InferOutput<typeof cpuProps> {
  return {
    "socket-id": cpu.socketId,
    die_id: cpu.dieId,
    "core-id": cpu.coreId,
    "thread-id": cpu.threadId,
  };
}

function qomPath(index: number): string {
  return `/machine/unattached/device[${index}]`;
}

const isArm = process.arch === "arm64";

const hotpluggableCpu = v.strictObject({
  type: v.string(),
  "vcpus-count": v.number(),
  props: cpuProps,
  "qom-path": v.optional(v.string()),
});

function hotpluggable(cpu: CpuInfo, index: number): v.InferOutput<typeof hotpluggableCpu> {
  const type = isArm ? "host-aarch64-cpu" : "host-x86-cpu";
  const slot = { type, "vcpus-count": 1, props: propsOf(cpu) };
  return cpu.isPlugged ? { ...slot, "qom-path": qomPath(index) } : slot;
}

export const inventoryCommands = [
  command({
    name: "query-cpus",
    help: "The plugged processors and their threads.",
    args: empty,
    result: v.array(
      v.strictObject({
        current: v.boolean(),
        qom_path: v.string(),
        halted: v.boolean(),
        props: cpuProps,
        CPU: v.number(),
        thread_id: v.number(),
        arch: v.picklist(["x86", "arm"]),
      }),
    ),
    run: ({ control }) => ({
      result: control.cpus().flatMap((cpu, index) => {
        if (!cpu.isPlugged) return [];
        const arch = isArm ? ("arm" as const) : ("x86" as const);
        return {
          current: true,
          qom_path: qomPath(index),
          halted: false,
          props: propsOf(cpu),
          CPU: index,
          thread_id: cpu.hostThreadId ?? 0,
          arch,
        };
      }),
    }),
  }),
  command({
    name: "query-hotpluggable-cpus",
    help: "All possible processors; the plugged ones have a qom-path.",
    args: empty,
    result: v.array(hotpluggableCpu),
    run: ({ control }) => ({ result: control.cpus().map(hotpluggable) }),
  }),
  command({
    name: "query-iothreads",
    help: "The iothreads with their kernel thread ids.",
    args: empty,
    result: v.array(
      v.strictObject({
        id: v.string(),
        "thread-id": v.number(),
        "poll-max-ns": v.number(),
        "poll-grow": v.number(),
        "poll-shrink": v.number(),
      }),
    ),
    run: ({ control }) => ({
      result: control.iothreads().map(({ id, hostThreadId }) => ({
        id,
        "thread-id": hostThreadId,
        "poll-max-ns": 0,
        "poll-grow": 0,
        "poll-shrink": 0,
      })),
    }),
  }),
  command({
    name: "query-chardev",
    help: "The pseudo terminals.",
    args: empty,
    result: v.array(
      v.strictObject({
        "frontend-open": v.boolean(),
        filename: v.string(),
        label: v.string(),
      }),
    ),
    run: ({ control }) => ({
      result: control.ptys().map(({ filename, label }) => ({
        "frontend-open": true,
        filename: `pty:${filename}`,
        label,
      })),
    }),
  }),
];
