// -netdev: from its keys to the tap queues that it stands for (behaviour 1.8).

import { UserError } from "../errors.ts";
import { netdevVariants } from "./declarations/backends.ts";
import { parseVariant } from "./parse.ts";
import type { VariantValues } from "./schema.ts";

/** An interface of the host by its name, or queues of one that somebody else has opened. */
export type TapSource =
  | { readonly kind: "interface"; readonly name: string }
  | { readonly kind: "descriptors"; readonly fds: readonly number[] };

/** The kernel's data path; without descriptors the machine opens its device itself. */
export interface VhostSource {
  /** One a pair of queues. */
  readonly fds: readonly number[] | undefined;
}

export interface TapNetdev {
  readonly id: string;
  /** Pairs of queues. */
  readonly queues: number;
  readonly tap: TapSource;
  /** Without it the machine moves the frames itself. */
  readonly vhost?: VhostSource;
}

/** Frames go to another process. */
export interface VhostUserNetdev {
  readonly id: string;
  readonly queues: number;
  /** The socket to it. */
  readonly chardev: string;
}

export type NetdevConfig = TapNetdev | VhostUserNetdev;

const maxQueues = 16;

type TapKeys = Extract<VariantValues<typeof netdevVariants, "type">, { type: "tap" }>;

/** Reads one -netdev. */
export function buildNetdev(source: string): NetdevConfig {
  return netdevOf(parseVariant("-netdev", "type", netdevVariants, source));
}

/** A name wins over descriptors, and many descriptors raise `queues`. */
export function netdevOf(keys: VariantValues<typeof netdevVariants, "type">): NetdevConfig {
  const { id } = keys;
  if (keys.type === "vhost-user") return { id, queues: keys.queues, chardev: keys.chardev };
  const tapFds = descriptors(id, { one: "fd", many: "fds" }, keys.fd, keys.fds);
  const vhost = vhostOf(keys);
  const tap = tapOf(keys, tapFds);
  const known = tap.kind === "interface" ? [vhost?.fds] : [tap.fds, vhost?.fds];
  // Each list has one for each pair; the longest says how many there are.
  const queues = Math.max(keys.queues, ...known.map((fds) => fds?.length ?? 0));
  for (const fds of known) checkCount(id, fds, queues);
  return vhost === undefined ? { id, queues, tap } : { id, queues, tap, vhost };
}

function tapOf({ id, ifname }: TapKeys, fds: readonly number[] | undefined): TapSource {
  if (ifname !== undefined) return { kind: "interface", name: ifname };
  if (fds !== undefined) return { kind: "descriptors", fds };
  throw new UserError(`The netdev '${id}' needs a tap: ifname=NAME, fd=FD or fds=FD:FD.`);
}

function vhostOf({ id, vhost, vhostfd, vhostfds }: TapKeys): VhostSource | undefined {
  const fds = descriptors(id, { one: "vhostfd", many: "vhostfds" }, vhostfd, vhostfds);
  if (vhost) return { fds };
  if (fds === undefined) return undefined;
  const key = vhostfd === undefined ? "vhostfds" : "vhostfd";
  throw new UserError(`The netdev '${id}' has ${key} without vhost=on; add that.`);
}

/** The descriptors of two keys, of which one may be given. */
function descriptors(
  id: string,
  { one, many }: { readonly one: string; readonly many: string },
  fd: number | undefined,
  fds: string | undefined,
): readonly number[] | undefined {
  if (fd !== undefined && fds !== undefined) {
    throw new UserError(`The netdev '${id}' has both ${one} and ${many}; give one of them.`);
  }
  return fd === undefined ? fds?.split(":").map(Number) : [fd];
}

function checkCount(id: string, fds: readonly number[] | undefined, queues: number): void {
  if (fds === undefined) return;
  if (fds.length > maxQueues) {
    const limit = `at most ${maxQueues} are possible`;
    throw new UserError(`The netdev '${id}' has ${fds.length} descriptors; ${limit}.`);
  }
  if (fds.length < queues) {
    const given = fds.length === 1 ? "1 descriptor" : `${fds.length} descriptors`;
    throw new UserError(`The netdev '${id}' has ${given} for queues=${queues}; give one for each.`);
  }
}

function descriptorsOf(netdev: NetdevConfig): readonly number[] {
  if (!("tap" in netdev)) return [];
  const { tap, vhost } = netdev;
  return [...(tap.kind === "descriptors" ? tap.fds : []), ...(vhost?.fds ?? [])];
}

/** Refuses a descriptor that is given twice, which would make two readers of one queue. */
export function checkDescriptors(netdevs: readonly NetdevConfig[]): void {
  const users = new Map<number, string>();
  for (const netdev of netdevs) {
    const { id } = netdev;
    for (const fd of descriptorsOf(netdev)) {
      const other = users.get(fd);
      if (other !== undefined) {
        const where = other === id ? `twice by the netdev '${id}'` : `by '${other}' and '${id}'`;
        throw new UserError(`The descriptor ${fd} is used ${where}; each queue has its own.`);
      }
      users.set(fd, id);
    }
  }
}
