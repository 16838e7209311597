// The kernel's side of vhost-net and vhost-vsock: opens its devices, or takes over those that
// somebody else has opened, and learns what they can do.

import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { CONSTANTS } from "../core/abi.gen.ts";
import type { Core } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { openVhost, setVsockGuest } from "../core/host_calls.ts";
import { errorCode, UserError } from "../errors.ts";

/** Open devices of one kind that belong to this machine. */
export interface Vhost {
  readonly fds: readonly number[];
  /** Feature bits that all of them have. */
  readonly features: number;
  close(): void;
}

interface Kind {
  readonly path: string;
  readonly module: string;
  /** Device number, as stat(2) gives it: linux/miscdevice.h. */
  readonly number: number;
  /** What to do without it. */
  readonly instead: string;
}

const MISC_MAJOR = 10;
const NET: Kind = {
  path: "/dev/vhost-net",
  module: "vhost_net",
  number: (MISC_MAJOR << 8) | 238,
  instead: "or use vhost=off",
};
const VSOCK: Kind = {
  path: "/dev/vhost-vsock",
  module: "vhost_vsock",
  number: (MISC_MAJOR << 8) | 241,
  instead: "or leave the device out",
};

/** Opens a /dev/vhost-net for each pair of queues of a netdev, unless `fds` are there. */
export function openVhostNet(
  core: Core,
  { id, fds, pairCount }: { id: string; fds: readonly number[] | undefined; pairCount: number },
): Vhost {
  return open(core, NET, { who: `the netdev '${id}'`, fds, count: pairCount });
}

/** Opens /dev/vhost-vsock, or takes over `vhostfd`, and gives it the guest's address. */
export function openVhostVsock(
  core: Core,
  { id, guestCid, vhostfd }: { id: string; guestCid: number; vhostfd: number | undefined },
): { readonly fd: number; readonly features: number; close(): void } {
  const who = `the device '${id}'`;
  const fds = vhostfd === undefined ? undefined : [vhostfd];
  const vhost = open(core, VSOCK, { who, fds, count: 1 });
  const [fd = -1] = vhost.fds;
  try {
    setVsockGuest(core, fd, guestCid);
  } catch (error) {
    vhost.close();
    if (!(error instanceof CoreError)) throw error;
    throw new UserError(`The guest-cid ${guestCid} of ${who} ${guestReason(error)}`);
  }
  return { fd, features: vhost.features, close: vhost.close };
}

function guestReason({ errno }: CoreError): string {
  const code = errnoText(errno);
  if (code !== "EADDRINUSE") return `is refused by the host (${code}).`;
  return "is in use by another machine of this host; give each its own.";
}

interface Wanted {
  readonly who: string;
  readonly fds: readonly number[] | undefined;
  readonly count: number;
}

function open(core: Core, kind: Kind, { who, fds, count }: Wanted): Vhost {
  const opened: number[] = [];
  const close = () => {
    for (const fd of opened) closeSync(fd);
  };
  try {
    for (const fd of fds ?? []) checkDescriptor(kind, who, fd);
    opened.push(...(fds ?? []));
    while (opened.length < count) opened.push(openDevice(kind, who));
    const used = opened.slice(0, count);
    const features = used.map((fd) => own(core, kind, who, fd));
    return { fds: used, features: features.reduce(commonBits), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Bits that both have; they are too many for the operators of JavaScript. */
function commonBits(one: number, other: number): number {
  return Number(BigInt(one) & BigInt(other));
}

function openDevice(kind: Kind, who: string): number {
  try {
    return openSync(kind.path, constants.O_RDWR);
  } catch (error) {
    throw new UserError(`The device '${kind.path}' of ${who} ${openReason(kind, error)}`);
  }
}

function openReason({ module, instead }: Kind, error: unknown): string {
  const code = errorCode(error);
  switch (code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return `does not exist; load its module on the host ('modprobe ${module}'), ${instead}.`;
    case "EACCES":
    case "EPERM":
      return (
        `may not be opened by user ${process.getuid?.() ?? "?"}; change its permissions ` +
        `(it is there once 'modprobe ${module}' was run), ${instead}.`
      );
    default:
      return `cannot be opened (${code}).`;
  }
}

function checkDescriptor({ path, number }: Kind, who: string, fd: number): void {
  const what = `The descriptor ${fd} of ${who}`;
  try {
    const status = fstatSync(fd);
    if (status.isCharacterDevice() && status.rdev === number) return;
  } catch {
    throw new UserError(`${what} is not open; give the number of an opened ${path}.`);
  }
  throw new UserError(`${what} is not ${path}; give the number of one that is opened.`);
}

/** Makes the device this process's own; returns its features. */
function own(core: Core, { path, instead }: Kind, who: string, fd: number): number {
  let features: number;
  try {
    features = openVhost(core, fd);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const code = errnoText(error.errno);
    const reason =
      code === "EBUSY" ? "has served another machine; open it anew" : `cannot be used (${code})`;
    throw new UserError(`The ${path} of ${who} (descriptor ${fd}) ${reason}, ${instead}.`);
  }
  if (commonBits(features, CONSTANTS.featureVersion1) !== 0) return features;
  throw new UserError(
    `The ${path} of ${who} is older than virtio 1; use a newer host, ${instead}.`,
  );
}
