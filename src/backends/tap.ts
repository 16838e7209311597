// The host side of a network device: opens the queues of a tap interface, or takes over those that
// somebody else has opened, and learns what they can do.

import { closeSync, constants, readFileSync, statSync } from "node:fs";
import { CONSTANTS } from "../core/abi.gen.ts";
import type { Core } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { attachTap, inspectTap, prepareTap } from "../core/host_calls.ts";
import { UserError } from "../errors.ts";
import type { TapNetdev } from "../options/netdevs.ts";
import { openForUser } from "./file.ts";

export interface Tap {
  /** One a pair of queues. */
  readonly fds: readonly number[];
  /** Checksums and TSO may be left to the other side. */
  readonly offload: boolean;
  readonly ufo: boolean;
  /** Whether the queues can be attached and detached. */
  readonly multiQueue: boolean;
  close(): void;
}

/** linux/if_tun.h */
const FLAG = {
  tap: 0x0002,
  multiQueue: 0x0100,
  noPacketInfo: 0x1000,
  header: 0x4000,
} as const;

const NAME_SIZE = 16;
const CLONE_DEVICE = "/dev/net/tun";

/** Opens `pairCount` queues of a -netdev. Given descriptors stay the caller's after an error. */
export function openTap(core: Core, config: TapNetdev, pairCount: number): Tap {
  const { tap } = config;
  if (tap.kind === "descriptors") {
    for (const fd of tap.fds) checkDescriptor(core, config, fd);
    return describe(core, config, tap.fds, pairCount);
  }
  const opened: number[] = [];
  try {
    checkInterface(config, tap.name);
    for (let pair = 0; pair < pairCount; pair += 1) {
      opened.push(openClone(config));
      attach(core, config, tap.name, opened.at(-1) ?? -1);
    }
    return describe(core, config, opened, pairCount);
  } catch (error) {
    closeAll(opened);
    throw error;
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}

function describe(
  core: Core,
  config: TapNetdev,
  opened: readonly number[],
  pairCount: number,
): Tap {
  const fds = opened.slice(0, pairCount);
  const offloads = fds.map((fd) => prepare(core, config, fd)).reduce((all, one) => all & one);
  return {
    fds,
    offload: (offloads & CONSTANTS.tapOffloadTso4) !== 0,
    ufo: (offloads & CONSTANTS.tapOffloadUfo) !== 0,
    multiQueue: config.queues > 1,
    close: () => closeAll(opened),
  };
}

/** What the kernel shows of an interface that exists already. */
function checkInterface({ id, queues }: TapNetdev, name: string): void {
  const folder = `/sys/class/net/${name}`;
  if (!isThere(folder)) return;
  const who = `The interface '${name}' of netdev '${id}'`;
  if (!isThere(`${folder}/tun_flags`)) {
    throw new UserError(`${who} is not a tap; make one: ip tuntap add NAME mode tap.`);
  }
  const flags = Number(readFileSync(`${folder}/tun_flags`, "utf8"));
  if ((flags & FLAG.tap) === 0) {
    throw new UserError(`${who} is a tun, not a tap; make one: ip tuntap add NAME mode tap.`);
  }
  const many = (flags & FLAG.multiQueue) !== 0;
  if (many === queues > 1) return;
  const fix = many ? "give queues=2 or more" : "make it with 'mode tap multi_queue'";
  throw new UserError(`${who} has ${many ? "many queues" : "one queue"}, not ${queues}; ${fix}.`);
}

/** By a call that the filters allow, too. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function openClone({ id }: TapNetdev): number {
  return openForUser(CLONE_DEVICE, {
    what: `The tap driver of netdev '${id}'`,
    option: "-netdev",
    flags: constants.O_RDWR | constants.O_NONBLOCK,
  });
}

/** An ifreq: the name, then the flags (netdevice(7)). */
function requestOf(name: string, queues: number): Uint8Array {
  const request = new Uint8Array(CONSTANTS.tapRequestSize);
  new TextEncoder().encodeInto(name, request.subarray(0, NAME_SIZE - 1));
  const flags = FLAG.tap | FLAG.noPacketInfo | FLAG.header | (queues > 1 ? FLAG.multiQueue : 0);
  new DataView(request.buffer).setUint16(NAME_SIZE, flags, true);
  return request;
}

function attach(core: Core, { id, queues }: TapNetdev, name: string, fd: number): void {
  try {
    attachTap(core, fd, requestOf(name, queues));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const reason = attachReason(errnoText(error.errno));
    throw new UserError(`The interface '${name}' of netdev '${id}' ${reason}`);
  }
}

function attachReason(code: string): string {
  switch (code) {
    case "EPERM":
      return `may not be used by user ${process.getuid?.() ?? "?"}; make it with 'user NAME'.`;
    case "EBUSY":
      return "is in use by another program; end that or use another interface.";
    case "EINVAL":
      return "cannot be a tap of this kind; check its name and its queues.";
    case "E2BIG":
      return "has no queue left; end the program that uses it or give fewer queues.";
    default:
      return `cannot be opened (${code}).`;
  }
}

function checkDescriptor(core: Core, { id, queues }: TapNetdev, fd: number): void {
  const who = `The descriptor ${fd} of netdev '${id}'`;
  const flags = inspect(core, who, fd);
  if ((flags & FLAG.tap) === 0) throw new UserError(`${who} is a tun; a tap is needed.`);
  if ((flags & FLAG.header) === 0 || (flags & FLAG.noPacketInfo) === 0) {
    throw new UserError(`${who} was opened without IFF_VNET_HDR and IFF_NO_PI; both are needed.`);
  }
  if (queues > 1 && (flags & FLAG.multiQueue) === 0) {
    throw new UserError(`${who} was opened without IFF_MULTI_QUEUE, but there are ${queues}.`);
  }
}

function inspect(core: Core, who: string, fd: number): number {
  const request = new Uint8Array(CONSTANTS.tapRequestSize);
  try {
    inspectTap(core, fd, request);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const what = errnoText(error.errno) === "EBADF" ? "is not open" : "is not a tap";
    throw new UserError(`${who} ${what}; give the number of an opened tap queue.`);
  }
  return new DataView(request.buffer).getUint16(NAME_SIZE, true);
}

function prepare(core: Core, { id }: TapNetdev, fd: number): number {
  try {
    return prepareTap(core, fd);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const cause = errnoText(error.errno);
    throw new UserError(`The tap of netdev '${id}' cannot have headers of 12 bytes (${cause}).`);
  }
}
