// Trace events: which are on, and switching them.

import * as v from "valibot";
import { command, empty } from "../command.ts";

export const traceCommands = [
  command({
    name: "trace-get-state",
    help: "Whether each trace event whose name fits a regular expression is on.",
    args: v.strictObject({ name: v.string() }),
    result: v.array(v.strictObject({ name: v.string(), state: v.boolean() })),
    run: async ({ control }, { name }) => {
      const trace = await control.trace();
      return { result: [...trace.states(name)] };
    },
  }),
  command({
    name: "trace-set-state",
    help: "Switches every trace event whose name fits a regular expression.",
    args: v.strictObject({ name: v.string(), enable: v.boolean() }),
    result: empty,
    run: async ({ control }, { name, enable }) => {
      const trace = await control.trace();
      trace.set(name, enable ? "on" : "off");
      return { result: {} };
    },
  }),
];
