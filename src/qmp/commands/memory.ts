// The guest's memory: how much of it the balloon leaves.

import * as v from "valibot";
import { command, empty } from "../command.ts";
import type { BalloonControl, MachineControl } from "../machine_control.ts";
import { QmpError } from "../protocol.ts";

function balloonOf(control: MachineControl): BalloonControl {
  const balloon = control.balloon();
  if (balloon !== undefined) return balloon;
  const fix = "start it with -device virtio-balloon-device";
  throw new QmpError("DeviceNotActive", `The machine has no balloon; ${fix}.`);
}

export const memoryCommands = [
  command({
    name: "balloon",
    help: "Asks the guest to use so many bytes; more than it has means all.",
    args: v.strictObject({ value: v.number() }),
    result: empty,
    run: ({ control }, { value }) => {
      const balloon = balloonOf(control);
      if (value < balloon.pageSize || value % balloon.pageSize !== 0) {
        const expected = `a positive multiple of the guest's page size, ${balloon.pageSize} bytes`;
        throw new QmpError(
          "GenericError",
          `Bad argument 'value' of 'balloon': expected ${expected}, but got ${value}.`,
        );
      }
      balloon.setTarget(value);
      return { result: {} };
    },
  }),
  command({
    name: "query-balloon",
    help: "How many bytes the balloon leaves to the guest now.",
    args: empty,
    result: v.strictObject({ actual: v.number() }),
    run: ({ control }) => ({ result: { actual: balloonOf(control).actualBytes() } }),
  }),
];
