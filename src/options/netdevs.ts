// -netdev: from its keys to the tap queues that it stands for (behaviour 1.8).

import { UserError } from "../errors.ts";
import { netdevVariants } from "./declarations/backends.ts";
import { parseVariant } from "./parse.ts";

/** An interface of the host by its name, or queues of one that somebody else has opened. */
export type TapSource =
  | { readonly kind: "interface"; readonly name: string }
  | { readonly kind: "descriptors"; readonly fds: readonly number[] };

export interface TapNetdev {
  readonly id: string;
  /** Pairs of queues. */
  readonly queues: number;
  readonly tap: TapSource;
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

/** Reads one -netdev; a name wins over descriptors, and many descriptors raise `queues`. */
export function buildNetdev(source: string): NetdevConfig {
  const keys = parseVariant("-netdev", "type", netdevVariants, source);
  const { id, queues } = keys;
  if (keys.type === "vhost-user") return { id, queues, chardev: keys.chardev };
  const { ifname } = keys;
  if (ifname !== undefined) return { id, queues, tap: { kind: "interface", name: ifname } };
  if (keys.fd !== undefined && keys.fds !== undefined) {
    throw new UserError(`The netdev '${id}' has both fd and fds; give one of them.`);
  }
  const fds = keys.fd === undefined ? (keys.fds ?? "").split(":") : [String(keys.fd)];
  if (fds[0] === "") {
    throw new UserError(`The netdev '${id}' needs a tap: ifname=NAME, fd=FD or fds=FD:FD.`);
  }
  return { id, ...descriptors(id, fds.map(Number), queues) };
}

function descriptors(
  id: string,
  fds: readonly number[],
  queues: number,
): Pick<TapNetdev, "queues" | "tap"> {
  if (fds.length > maxQueues) {
    const limit = `at most ${maxQueues} are possible`;
    throw new UserError(`The netdev '${id}' has ${fds.length} descriptors; ${limit}.`);
  }
  if (fds.length < queues) {
    const given = fds.length === 1 ? "1 descriptor" : `${fds.length} descriptors`;
    throw new UserError(`The netdev '${id}' has ${given} for queues=${queues}; give one for each.`);
  }
  return { queues: fds.length, tap: { kind: "descriptors", fds } };
}

function descriptorsOf(netdev: NetdevConfig): readonly number[] {
  return "tap" in netdev && netdev.tap.kind === "descriptors" ? netdev.tap.fds : [];
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
