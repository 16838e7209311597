// vhost-user: which sockets lead to the processes that serve devices, and what these need of the
// machine (behaviour 1.8, 4.3, 4.6). Such a socket is no console, and leaves the list of those.

import { UserError } from "../errors.ts";
import type { ChardevConfig, Config, DeviceConfig, MemoryZone } from "./config.ts";
import type { NetdevConfig } from "./netdevs.ts";
import { didYouMean } from "./suggest.ts";

/** Where the process listens that serves a device. */
export interface BackEndConfig {
  /** The id of its -chardev. */
  readonly id: string;
  readonly path: string;
}

interface User {
  /** For sentences: "device 'd'". */
  readonly name: string;
  readonly chardev: string;
  /** The guidebook's example of a shared folder has a socket with 'server', which is of no use. */
  readonly ignoresServer: boolean;
}

/** Whether another process serves this device's queues. */
export function isServedElsewhere(
  device: DeviceConfig,
  { netdevs }: Pick<Config, "netdevs">,
): boolean {
  switch (device.driver) {
    case "vhost-user-blk-device":
    case "vhost-user-fs-device":
      return true;
    case "virtio-net-device":
      return netdevs.some((netdev) => netdev.id === device.netdev && "chardev" in netdev);
    default:
      return false;
  }
}

function usersOf(devices: readonly DeviceConfig[], netdevs: readonly NetdevConfig[]): User[] {
  const networks = netdevs.flatMap((netdev) =>
    "chardev" in netdev
      ? [{ name: `netdev '${netdev.id}'`, chardev: netdev.chardev, ignoresServer: false }]
      : [],
  );
  const others = devices.flatMap((device) => {
    const { driver } = device;
    if (driver !== "vhost-user-blk-device" && driver !== "vhost-user-fs-device") return [];
    const ignoresServer = driver === "vhost-user-fs-device";
    return [{ name: `device '${device.id}'`, chardev: device.chardev, ignoresServer }];
  });
  return [...networks, ...others];
}

/** Takes the sockets of back ends out of the character devices. */
export function takeBackEnds(
  consoles: Pick<Config, "chardevs" | "serial">,
  devices: readonly DeviceConfig[],
  netdevs: readonly NetdevConfig[],
): Pick<Config, "chardevs" | "backEnds"> {
  const owners = new Map<string, string>();
  if (consoles.serial !== undefined) owners.set(consoles.serial.chardev, "-serial");
  const backEnds = usersOf(devices, netdevs).map((user) => {
    const other = owners.get(user.chardev);
    if (other !== undefined) {
      const both = `is used by ${other} and by the ${user.name}`;
      throw new UserError(`The chardev '${user.chardev}' ${both}; give each its own.`);
    }
    owners.set(user.chardev, `the ${user.name}`);
    return backEndOf(user, consoles.chardevs);
  });
  const isConsole = ({ id }: ChardevConfig) => !backEnds.some((backEnd) => backEnd.id === id);
  return { chardevs: consoles.chardevs.filter(isConsole), backEnds };
}

function backEndOf(user: User, chardevs: readonly ChardevConfig[]): BackEndConfig {
  const { name, chardev: id } = user;
  const chardev = chardevs.find((candidate) => candidate.id === id);
  if (chardev === undefined) {
    const known = chardevs.map((candidate) => candidate.id);
    const hint = didYouMean(id, known, `Add '-chardev socket,id=${id},path=PATH'.`);
    throw new UserError(`The ${name} names the chardev '${id}', which does not exist.${hint}`);
  }
  if (chardev.backend !== "socket" || chardev.path === undefined) {
    const kind = chardev.backend;
    throw new UserError(
      `The ${name} needs a unix socket, but the chardev '${id}' is a ${kind}; ` +
        `use -chardev socket,id=${id},path=PATH.`,
    );
  }
  if ((chardev.server || chardev.nowait) && !user.ignoresServer) {
    throw new UserError(
      `The chardev '${id}' has 'server', but the ${name} connects to a process that listens; ` +
        "leave 'server' and 'nowait' out.",
    );
  }
  return { id, path: chardev.path };
}

/** A back end is told of eight regions at most, and the board may cut one part in two. */
const maxZones = 7;

/** Throws unless another process can map all of the guest's memory, where one has to. */
export function checkSharedMemory(config: Config): void {
  const [user] = usersOf(config.devices, config.netdevs);
  if (user === undefined) return;
  const { zones } = config.memory;
  if (zones.length > maxZones) {
    throw new UserError(
      `The ${user.name} can be served with at most ${maxZones} parts of memory, but -numa makes ` +
        `${zones.length}; give fewer nodes.`,
    );
  }
  const zone = zones.find(({ share }) => !share);
  if (zone === undefined) return;
  throw new UserError(
    `The ${user.name} needs memory that another process can map, but ${zone.what} is private; ` +
      `use ${waysToShare(zone)}.`,
  );
}

function waysToShare({ what }: MemoryZone): string {
  return what.startsWith("the memory back end") ? "share=on" : "-machine mem-share=on";
}
