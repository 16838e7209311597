// The data and the meaning of each event; for those who describe the protocol.

import * as v from "valibot";
import type { EventName } from "./machine_control.ts";

interface EventDeclaration {
  readonly help: string;
  readonly data: v.StrictObjectSchema<v.ObjectEntries, undefined>;
  readonly example: Readonly<Record<string, unknown>>;
}

const nothing = { data: v.strictObject({}), example: {} } as const;

export const eventDeclarations: Readonly<Record<EventName, EventDeclaration>> = {
  STOP: { help: "The guest was paused.", ...nothing },
  RESUME: { help: "The guest runs again.", ...nothing },
  RESET: {
    help: "The machine was reset.",
    data: v.strictObject({ guest: v.boolean() }),
    example: { guest: true },
  },
  SHUTDOWN: {
    help: "The machine has ended: by its guest or from outside, and why.",
    data: v.strictObject({ guest: v.boolean(), reason: v.string() }),
    example: { guest: true, reason: "guest-shutdown" },
  },
  BALLOON_CHANGED: {
    help: "The guest has another size: bytes of memory that its balloon leaves to it.",
    data: v.strictObject({ actual: v.number() }),
    example: { actual: 134217728 },
  },
  DEVICE_DELETED: {
    help: "A device has lost its back end; its id is free.",
    data: v.strictObject({ device: v.string(), path: v.string() }),
    example: { device: "disk1", path: "disk1" },
  },
  POWERDOWN: { help: "The power button was pressed.", ...nothing },
};
