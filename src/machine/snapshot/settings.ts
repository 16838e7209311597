// What a guest can see of the way in which a device was made, read from what the core was given.

import {
  BalloonParamsLayout,
  BlkParamsLayout,
  CONSTANTS,
  ConsoleParamsLayout,
  ConsolePortParamsLayout,
  ModelKind,
  NetParamsLayout,
} from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { decode } from "../../core/struct.ts";
import type { SavedDevice } from "./manifest.ts";

type Settings = SavedDevice["settings"];

/**
 * Whether the host's kernel or another process holds the device's state, which no save reaches. Of
 * vsock it holds connections alone, and a guest that goes on is told that they are gone.
 */
export function isServedElsewhere({ model, details }: NewDevice): boolean {
  if (model === ModelKind.vhostUser) return true;
  return model === ModelKind.virtioNet && netSettings(bytesOf(details)).vhost === true;
}

/** Keys are those of the command line. */
export function settingsOf({ model, details }: NewDevice): Settings {
  const bytes = bytesOf(details);
  switch (model) {
    case ModelKind.virtioBlk:
      return blkSettings(bytes);
    case ModelKind.virtioNet:
      return netSettings(bytes);
    case ModelKind.virtioBalloon: {
      const { flags } = decode(BalloonParamsLayout, bytes);
      return {
        "deflate-on-oom": (flags & CONSTANTS.balloonDeflateOnOom) !== 0,
        "free-page-reporting": (flags & CONSTANTS.balloonReporting) !== 0,
      };
    }
    case ModelKind.virtioConsole:
      return consoleSettings(bytes);
    default:
      return {};
  }
}

function bytesOf(details: Uint8Array | undefined): Uint8Array {
  return details ?? new Uint8Array(0);
}

function blkSettings(bytes: Uint8Array): Settings {
  const { capacityBytes, queueCount, queueSize, flags } = decode(BlkParamsLayout, bytes);
  return {
    size: capacityBytes,
    "num-queues": queueCount,
    "queue-size": queueSize,
    readonly: (flags & CONSTANTS.blkReadOnly) !== 0,
    discard: (flags & CONSTANTS.blkDiscard) !== 0,
    "detect-zeroes": (flags & CONSTANTS.blkWriteZeroes) !== 0,
  };
}

function netSettings(bytes: Uint8Array): Settings {
  const { pairCount, queueSize, flags } = decode(NetParamsLayout, bytes);
  return {
    vhost: (flags & CONSTANTS.netVhost) !== 0,
    queues: pairCount,
    "queue-size": queueSize,
    offload: (flags & CONSTANTS.netOffload) !== 0,
    ufo: (flags & CONSTANTS.netUfo) !== 0,
  };
}

/** A port is its number, its kind and its name: "0 console login". */
function consoleSettings(bytes: Uint8Array): Settings {
  const { portLimit, portCount, ports } = decode(ConsoleParamsLayout, bytes);
  const { size } = ConsolePortParamsLayout;
  const list = Array.from({ length: portCount }, (_, index) => {
    const port = decode(ConsolePortParamsLayout, ports.subarray(index * size, (index + 1) * size));
    const name = new TextDecoder().decode(port.name.subarray(0, port.nameSize));
    return `${port.number} ${port.console === 1 ? "console" : "port"} ${name}`;
  });
  return { max_ports: portLimit, ports: list.join(", ") };
}
