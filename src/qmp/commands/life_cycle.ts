// stop, cont, quit, reset and power button.

import * as v from "valibot";
import { command, empty } from "../command.ts";
import { QmpError } from "../protocol.ts";

const none = { result: {} } as const;

export const lifeCycleCommands = [
  command({
    name: "qmp_capabilities",
    help: "Ends the negotiation of capabilities, of which there are none.",
    args: v.strictObject({ enable: v.optional(v.array(v.string())) }),
    result: empty,
    run: (_, { enable = [] }) => {
      const [first] = enable;
      if (first === undefined) return none;
      throw new QmpError("GenericError", `The capability '${first}' is not offered; none is.`);
    },
  }),
  command({
    name: "query-status",
    help: "Whether the guest runs.",
    args: empty,
    result: v.strictObject({
      singlestep: v.boolean(),
      running: v.boolean(),
      status: v.picklist(["running", "paused", "shutdown"]),
    }),
    run: ({ control }) => {
      const status = control.status();
      return { result: { singlestep: false, running: status === "running", status } };
    },
  }),
  command({
    name: "stop",
    help: "Pauses the guest; a paused guest stays so, and no second STOP is sent.",
    args: empty,
    result: empty,
    run: async ({ control }) => {
      await control.pause();
      return none;
    },
  }),
  command({
    name: "cont",
    help: "Lets the guest run; a running guest runs on, and no second RESUME is sent.",
    args: empty,
    result: empty,
    run: async ({ control }) => {
      await control.resume();
      return none;
    },
  }),
  command({
    name: "quit",
    help: "Ends the machine after the reply.",
    args: empty,
    result: empty,
    run: ({ control }) => ({ ...none, afterReply: () => control.quit() }),
  }),
  command({
    name: "system_reset",
    help: "Resets the machine after the reply; a microvm ends.",
    args: empty,
    result: empty,
    run: ({ control }) => ({ ...none, afterReply: () => control.reset() }),
  }),
  command({
    name: "system_powerdown",
    help: "Presses the power button after the reply; a microvm ends.",
    args: empty,
    result: empty,
    run: ({ control }) => ({ ...none, afterReply: () => control.powerdown() }),
  }),
];
