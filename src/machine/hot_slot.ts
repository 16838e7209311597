// A slot whose back end can be replaced while the machine runs, and what stands in it.

import type { DeviceId } from "../core/core.ts";
import type { Config, DeviceConfig } from "../options/config.ts";
import { nextMacAddress } from "../options/mac_addresses.ts";
import type { BoardDevice } from "../options/serial_ports.ts";
import { isServedElsewhere } from "../options/vhost_user.ts";
import type { Resource } from "./resources.ts";
import type { SlotPlace } from "./slot_plan.ts";

/** A device of the user, with its back end. */
export interface Occupant {
  readonly id: string;
  readonly backendId: string;
  readonly resources: readonly Resource[];
}

export interface HotSlot {
  readonly place: SlotPlace;
  readonly device: DeviceId;
  /** What was there when the machine was made. */
  readonly first: Occupant | undefined;
  occupant: Occupant | undefined;
}

export function hotSlot(
  place: SlotPlace,
  device: DeviceId,
  occupant: Occupant | undefined,
): HotSlot {
  return { place, device, first: occupant, occupant };
}

/** What an empty slot is called among the devices; no id of a user begins so by chance. */
export function nameOfEmpty({ kind, number }: SlotPlace): string {
  return `empty ${kind} slot ${number}`;
}

/** The address of a card without a cable: of those by default the ones that no device has. */
export function emptyMac(config: Config, { number }: SlotPlace): string {
  const taken = new Set(config.devices.flatMap((device) => ("mac" in device ? device.mac : [])));
  for (let before = 0; before < number; before += 1) taken.add(nextMacAddress(taken));
  return nextMacAddress(taken);
}

/** Undefined for what cannot be replaced: a back end that another process or the kernel serves. */
export function occupantOf(
  device: BoardDevice | DeviceConfig,
  config: Config,
  resources: readonly Resource[],
): Occupant | undefined {
  if (!config.machine.replaceable) return undefined;
  if (device.driver === "virtio-blk-device") {
    return { id: device.id, backendId: device.drive, resources };
  }
  if (device.driver !== "virtio-net-device" || isServedElsewhere(device, config)) return undefined;
  const netdev = config.netdevs.find(({ id }) => id === device.netdev);
  if (netdev === undefined || "vhost" in netdev) return undefined;
  return { id: device.id, backendId: device.netdev, resources };
}
