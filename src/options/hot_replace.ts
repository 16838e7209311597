// What QMP adds to a running machine, read by the same declarations as the command line: back ends
// (blockdev-add, netdev_add) and the devices on them (device_add; behaviour 2.2 and 2.3).

import { UserError } from "../errors.ts";
import type { DriveConfig } from "./config.ts";
import { driveKeys, netdevVariants } from "./declarations/backends.ts";
import { deviceVariants } from "./declarations/devices.ts";
import { checkDrive, driveOf } from "./drives.ts";
import { checkMacAddress } from "./mac_addresses.ts";
import { netdevOf, type TapNetdev } from "./netdevs.ts";
import { type Entry, readKeys, readVariant } from "./parse.ts";

type Given = Readonly<Record<string, string | number | boolean | undefined>>;

/** Keys with values as they would stand on the command line; those left out are not there. */
function entriesOf(given: Given): Entry[] {
  return Object.entries(given).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: String(value) }],
  );
}

/** The keys of -drive, of which blockdev-add has some under other names. */
export type BlockdevKeys = {
  readonly [K in keyof typeof driveKeys]?: string | number | boolean | undefined;
};

/** Its defaults are upstream's: direct, and aio=off, which do not go together (T27). */
export function buildBlockdev(keys: BlockdevKeys): DriveConfig {
  const isDirect = keys.direct !== false;
  if (isDirect && keys.aio === undefined) {
    throw new UserError(
      `The drive '${keys.id}' of blockdev-add has neither file.aio nor cache.direct; ` +
        "give file.aio=native or io_uring, or cache.direct=false.",
    );
  }
  const aio = isDirect ? keys.aio : "off";
  const drive = driveOf(readKeys("blockdev-add", driveKeys, entriesOf({ ...keys, aio })));
  checkDrive(drive);
  return drive;
}

/** Of the keys of -netdev tap; `fd` is the number of a descriptor. */
export function buildHotNetdev(type: string, keys: Given): TapNetdev {
  const values = readVariant("netdev_add", "type", netdevVariants, type, entriesOf(keys));
  const netdev = netdevOf(values);
  const reason = reasonAgainst(netdev);
  if (reason === undefined && "tap" in netdev) return netdev;
  throw new UserError(`The netdev '${netdev.id}' ${reason}.`);
}

function reasonAgainst(netdev: ReturnType<typeof netdevOf>): string | undefined {
  const what = "in an empty slot of a running microvm";
  if (!("tap" in netdev)) return `is a vhost-user back end, which cannot be ${what}; use a tap`;
  if (netdev.vhost !== undefined) return `has vhost=on, which cannot be ${what}; leave it out`;
  if (netdev.queues > 1) return `has ${netdev.queues} queues, of which one can be ${what}`;
  return undefined;
}

export type SlotKind = "block" | "network";

/** A device for a slot that has none. */
export interface HotDevice {
  readonly id: string;
  readonly kind: SlotKind;
  /** The first of these that is a back end is its own (behaviour 2.3, steps 2). */
  readonly backendIds: readonly string[];
  /** Undefined: any that is free. */
  readonly slot: number | undefined;
  readonly serial: string;
  readonly mac: string | undefined;
  readonly iothread: string | undefined;
}

/** The keys of device_add that mean something here. */
export interface HotDeviceKeys {
  readonly id: string;
  readonly driver: string;
  readonly addr?: string | undefined;
  readonly lun?: number | undefined;
  readonly drive?: string | undefined;
  readonly netdev?: string | undefined;
  readonly chardev?: string | undefined;
  readonly serial?: string | undefined;
  readonly mac?: string | undefined;
  readonly iothread?: string | undefined;
}

/** `slotCounts` are those of the board. Throws a UserError. */
export function buildHotDevice(
  keys: HotDeviceKeys,
  slotCounts: Readonly<Record<SlotKind, number>>,
): HotDevice {
  const { id, drive, netdev, chardev } = keys;
  const kind = kindOf(keys);
  const { serial, mac } = kind === "block" ? blockValues(keys) : networkValues(keys);
  const backendIds = kind === "block" ? [drive, id] : [netdev, chardev, id];
  return {
    id,
    kind,
    backendIds: backendIds.flatMap((each) => each ?? []),
    slot: slotOf(keys, slotCounts[kind]),
    serial: serial ?? "",
    mac: mac?.toLowerCase(),
    iothread: keys.iothread,
  };
}

/** As upstream, by a part of the driver's name: virtio-blk-mmio and virtio-blk-device are one. */
function kindOf({ id, driver }: HotDeviceKeys): SlotKind {
  const isVirtio = driver.startsWith("virtio-");
  if (isVirtio && driver.includes("blk")) return "block";
  if (isVirtio && driver.includes("net")) return "network";
  const can = "only virtio-blk and virtio-net can be added to a running microvm";
  throw new UserError(`The device '${id}' has the driver '${driver}', but ${can}.`);
}

interface Values {
  readonly serial?: string | undefined;
  readonly mac?: string | undefined;
}

function blockValues({ id, drive, serial, mac }: HotDeviceKeys): Values {
  const { keys } = deviceVariants["virtio-blk-device"];
  return readKeys("device_add", keys, entriesOf({ id, drive: drive ?? id, serial, mac }));
}

function networkValues({ id, netdev, serial, mac }: HotDeviceKeys): Values {
  const { keys } = deviceVariants["virtio-net-device"];
  const values = readKeys("device_add", keys, entriesOf({ id, netdev: netdev ?? id, serial, mac }));
  if (values.mac !== undefined) checkMacAddress(id, values.mac);
  return values;
}

/** addr counts the slots of a kind from 0; without it, lun and one (behaviour 2.3). */
function slotOf({ id, addr, lun }: HotDeviceKeys, count: number): number | undefined {
  if (addr === undefined && lun === undefined) return undefined;
  const isNumber = addr === undefined || /^(0x[0-9a-f]{1,4}|\d{1,4})$/i.test(addr);
  const slot = addr === undefined ? (lun ?? 0) + 1 : Number(addr);
  if (isNumber && slot >= 0 && slot < count) return slot;
  const given = addr === undefined ? `lun ${lun}` : `addr '${addr}'`;
  throw new UserError(
    `The device '${id}' has the ${given}; a slot of its kind has a number from 0 to ${count - 1}.`,
  );
}
