// Back ends and devices that come and go while the machine runs: a microvm's slots for disks and
// networks, which are there from the start (behaviour 2.3).

import * as v from "valibot";
import { UserError } from "../../errors.ts";
import { buildBlockdev, buildHotDevice, buildHotNetdev } from "../../options/hot_replace.ts";
import { command, empty } from "../command.ts";
import type { HotReplace, MachineControl } from "../machine_control.ts";
import type { NamedDescriptors } from "../named_descriptors.ts";

const text = v.optional(v.string());
const flag = v.optional(v.boolean());
const count = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)));
const onOrOff = v.optional(v.union([v.boolean(), v.picklist(["on", "off"])]));
const done = { result: {} } as const;

function slotsOf(control: MachineControl): HotReplace {
  const slots = control.hotReplace();
  if (slots !== undefined) return slots;
  const remedy = "start it as a microvm with -machine microvm,replaceable=on";
  throw new UserError(`The machine has no empty slots; ${remedy}.`);
}

interface TakenDescriptor {
  readonly fd: number;
  /** Names that are used up; the descriptors behind all but the last are not needed. */
  readonly names: readonly string[];
}

/** Of several the last, as upstream: a slot has one pair of queues. */
function findDescriptor(named: NamedDescriptors, list: string): TakenDescriptor {
  const names = list.split(":");
  const last = names.at(-1) ?? "";
  const fd = named.get(last) ?? (/^\d{1,9}$/.test(last) ? Number(last) : undefined);
  if (fd !== undefined) return { fd, names: names.filter((name) => named.get(name)) };
  throw new UserError(`There is no descriptor '${last}' for netdev_add; getfd makes one.`);
}

function useUp(named: NamedDescriptors, names: readonly string[]): void {
  for (const name of names.slice(0, -1)) named.close(name);
  for (const name of names.slice(-1)) named.release(name);
}

const netdevKeys = {
  id: v.string(),
  type: text,
  ifname: text,
  fd: text,
  fds: text,
  queues: count,
  vhost: onOrOff,
  vhostfd: text,
  vhostfds: text,
  macnat: onOrOff,
  chardev: text,
} as const;

export const hotReplaceCommands = [
  command({
    name: "blockdev-add",
    help: "Opens a disk image for device_add.",
    args: v.strictObject({
      "node-name": v.string(),
      file: v.strictObject({
        driver: v.picklist(["file", "host_device"]),
        filename: v.string(),
        aio: text,
      }),
      driver: text,
      cache: v.optional(v.strictObject({ direct: flag, "no-flush": flag })),
      "read-only": flag,
      discard: text,
      "detect-zeroes": text,
      "throttling.iops-total": count,
      media: text,
      "l2-cache-size": count,
      "refcount-cache-size": count,
      backing: text,
      id: text,
      options: v.optional(v.unknown()),
    }),
    result: empty,
    run: ({ control }, args) => {
      const drive = buildBlockdev({
        id: args["node-name"],
        file: args.file.filename,
        aio: args.file.aio,
        format: args.driver,
        direct: args.cache?.direct,
        readonly: args["read-only"],
        discard: args.discard,
        "detect-zeroes": args["detect-zeroes"],
        "throttling.iops-total": args["throttling.iops-total"],
        media: args.media,
        "l2-cache-size": args["l2-cache-size"],
        "refcount-cache-size": args["refcount-cache-size"],
      });
      slotsOf(control).addDrive(drive);
      return done;
    },
  }),
  command({
    name: "blockdev-del",
    help: "Closes a disk image that no device uses.",
    args: v.strictObject({ "node-name": v.string() }),
    result: empty,
    run: ({ control }, { "node-name": id }) => {
      slotsOf(control).removeDrive(id);
      return done;
    },
  }),
  command({
    name: "netdev_add",
    help: "Opens a tap for device_add, by its name or by a descriptor that getfd named.",
    args: v.strictObject(netdevKeys),
    result: empty,
    run: ({ control }, { type, fd, fds, ...keys }) => {
      const slots = slotsOf(control);
      if (fd !== undefined && fds !== undefined) {
        throw new UserError(`The netdev '${keys.id}' has both fd and fds; give one of them.`);
      }
      const list = fd ?? fds;
      const taken = list === undefined ? undefined : findDescriptor(control.descriptors, list);
      const given = taken === undefined ? keys : { ...keys, fd: taken.fd };
      slots.addNetdev(buildHotNetdev(type ?? "tap", given));
      useUp(control.descriptors, taken?.names ?? []);
      return done;
    },
  }),
  command({
    name: "netdev_del",
    help: "Closes a tap that no device uses.",
    args: v.strictObject({ id: v.string() }),
    result: empty,
    run: ({ control }, { id }) => {
      slotsOf(control).removeNetdev(id);
      return done;
    },
  }),
  command({
    name: "device_add",
    help: "Puts a back end into an empty slot: a disk gets its size, a network card its link.",
    args: v.strictObject({
      id: v.string(),
      driver: v.string(),
      addr: text,
      lun: count,
      drive: text,
      netdev: text,
      chardev: text,
      mac: text,
      serial: text,
      iothread: text,
      bus: text,
      romfile: text,
      "share-rw": onOrOff,
      "disable-modern": onOrOff,
      vectors: count,
      multifunction: onOrOff,
      boot_index: count,
    }),
    result: empty,
    run: ({ control }, keys) => {
      const slots = slotsOf(control);
      slots.addDevice(buildHotDevice(keys, slots.slotCounts));
      return done;
    },
  }),
  command({
    name: "device_del",
    help: "Takes the back end out of a slot and closes it: a disk has no sectors then.",
    args: v.strictObject({ id: v.string() }),
    result: empty,
    run: ({ control }, { id }) => {
      slotsOf(control).removeDevice(id);
      return done;
    },
  }),
];
