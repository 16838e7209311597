// The keys that place a device on a PCI bus.

import type { Keys } from "../schema.ts";
import { boolean, id, pciAddress } from "../schema.ts";

const slotKeys = {
  bus: { type: id, help: "bus or root port", required: true },
  addr: { type: pciAddress, help: "slot and function", required: true },
  multifunction: { type: boolean, help: "several functions in the slot", default: false },
} as const satisfies Keys;

/** The keys of a device together with those of its PCI slot. */
export function onPci<K extends Keys>(keys: K): K & typeof slotKeys {
  return { ...keys, ...slotKeys };
}
