// virtio-net: its identity and policy; zig/devices/virtio/net.zig moves the frames.

import { openTap, type Tap } from "../../backends/tap.ts";
import { openVhostNet } from "../../backends/vhost.ts";
import { CONSTANTS, ModelKind, NetParamsLayout } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig } from "../../options/config.ts";
import type { DeviceContext } from "../context.ts";
import { macBytes } from "../mac_bytes.ts";

export type NetConfig = Extract<DeviceConfig, { driver: "virtio-net-device" }>;

/** A byte of -1. */
const NO_DESCRIPTOR = 0xff;

const NO_CARD = {
  fds: descriptorBytes([]),
  pairCount: 1,
  queueSize: 256,
  flags: CONSTANTS.netOffload,
  mac: new Uint8Array(0),
  vhostFds: descriptorBytes([]),
  vhostFeatures: 0,
} as const;

/** Opens the tap and describes the device on it. */
export function openNet(config: NetConfig, context: DeviceContext): NewDevice {
  const netdev = context.config.netdevs.find(({ id }) => id === config.netdev);
  if (netdev === undefined || !("tap" in netdev)) {
    throw new UserError(`Netdev '${config.netdev}' is no tap.`);
  }
  const pairCount = config.mq ? netdev.queues : 1;
  const tap = context.keep(openTap(context.core, netdev, pairCount));
  const { vhost } = netdev;
  const kernel =
    vhost === undefined
      ? undefined
      : context.keep(openVhostNet(context.core, { id: netdev.id, fds: vhost.fds, pairCount }));
  const details = encode(NetParamsLayout, {
    fds: descriptorBytes(tap.fds),
    pairCount,
    queueSize: config.queueSize,
    flags:
      (tap.offload ? CONSTANTS.netOffload : 0) |
      (tap.ufo ? CONSTANTS.netUfo : 0) |
      (tap.multiQueue && pairCount > 1 ? CONSTANTS.netTapQueues : 0) |
      (kernel === undefined ? 0 : CONSTANTS.netVhost),
    mac: macBytes(config.mac),
    vhostFds: descriptorBytes(kernel?.fds ?? []),
    vhostFeatures: kernel?.features ?? 0,
  });
  const iothread = context.iothreads.get(config.iothread ?? "") ?? 0;
  return { model: ModelKind.virtioNet, iothread, details };
}

/** A card without a cable for a tap to come; it offers what every tap can do. */
export function describeEmptyCard(mac: string): NewDevice {
  const details = encode(NetParamsLayout, { ...NO_CARD, mac: macBytes(mac) });
  return { model: ModelKind.virtioNet, details };
}

/** A tap as the core puts it behind a card; without one the card loses its link. */
export function cardDetails(tap: Tap | undefined, mac: string): Uint8Array {
  const { fds, offload, ufo } = tap ?? { fds: [], offload: false, ufo: false };
  return encode(NetParamsLayout, {
    ...NO_CARD,
    fds: descriptorBytes(fds),
    flags: (offload ? CONSTANTS.netOffload : 0) | (ufo ? CONSTANTS.netUfo : 0),
    mac: macBytes(mac),
  });
}

/** Descriptors, one a pair of queues, as NetParams holds them. */
export function descriptorBytes(fds: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(NetParamsLayout.fields.fds.length).fill(NO_DESCRIPTOR);
  const view = new DataView(bytes.buffer);
  fds.forEach((fd, index) => {
    view.setInt32(4 * index, fd, true);
  });
  return bytes;
}
