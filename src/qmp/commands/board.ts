// Looking into a machine and steering it as a person does: memory, boot times, the human monitor.

import * as v from "valibot";
import { command, empty } from "../command.ts";
import { QmpError } from "../protocol.ts";

const hexAddress = v.pipe(v.string(), v.regex(/^(0x)?[0-9a-fA-F]{1,16}$/));

const microseconds = v.optional(v.pipe(v.number(), v.integer()));

const monitor: ReadonlyMap<string, string> = new Map([
  ["info snapshots", "There is no snapshot: the drives are raw images.\r\n"],
]);

export const boardCommands = [
  command({
    name: "query-boot-times",
    help: "Microseconds from the start of the process to each step of the start; ours alone.",
    args: empty,
    result: v.strictObject({
      origin: v.picklist(["exec", "runtime"]),
      "runtime-ready": microseconds,
      "machine-built": microseconds,
      "guest-started": microseconds,
      "kernel-entered": microseconds,
      "boot-complete": microseconds,
    }),
    run: ({ control }) => {
      const { origin, steps } = control.bootTimes();
      return { result: { origin, ...steps } };
    },
  }),
  command({
    name: "query-mem",
    help: "Writes the address map to the log.",
    args: empty,
    result: empty,
    run: ({ control }) => {
      control.logMemory();
      return { result: {} };
    },
  }),
  command({
    name: "query-mem-gpa",
    help: "The 32-bit value at a guest address in hexadecimal, in upper case.",
    args: v.strictObject({ gpa: hexAddress }),
    result: v.string(),
    run: ({ control }, { gpa }) => {
      const address = Number(`0x${gpa.replace(/^0x/, "")}`);
      const bytes = control.readMemory(address, 4);
      if (bytes === undefined) {
        const place = `0x${address.toString(16)}`;
        throw new QmpError("GenericError", `There is no memory at the guest address ${place}.`);
      }
      const value = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      return { result: value.toString(16).toUpperCase() };
    },
  }),
  command({
    name: "input_event",
    help: "Accepted without effect: a microvm has neither keyboard nor pointer.",
    args: v.strictObject({ key: v.picklist(["keyboard", "pointer"]), value: v.string() }),
    result: empty,
    run: () => ({ result: {} }),
  }),
  command({
    name: "human-monitor-command",
    help: "One line of the human monitor: 'info snapshots'.",
    args: v.strictObject({
      "command-line": v.string(),
      "cpu-index": v.optional(v.pipe(v.number(), v.integer())),
    }),
    result: v.string(),
    run: (_, { "command-line": line }) => {
      const text = monitor.get(line.trim().split(/ +/).join(" "));
      if (text !== undefined) return { result: text };
      const known = [...monitor.keys()].join(", ");
      throw new QmpError("GenericError", `Unsupported command: '${line}'. Known: ${known}.`);
    },
  }),
];
