// virtio-net: its identity and policy; zig/devices/virtio/net.zig moves the frames.

import { openTap } from "../../backends/tap.ts";
import { openVhostNet } from "../../backends/vhost.ts";
import { CONSTANTS, ModelKind, NetParamsLayout } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig } from "../../options/config.ts";
import type { DeviceContext } from "../context.ts";
import { macBytes } from "../mac_bytes.ts";

export type NetConfig = Extract<DeviceConfig, { driver: "virtio-net-device" }>;

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

/** Descriptors, one a pair of queues, as NetParams holds them. */
export function descriptorBytes(fds: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(NetParamsLayout.fields.fds.length);
  const view = new DataView(bytes.buffer);
  fds.forEach((fd, index) => {
    view.setInt32(4 * index, fd, true);
  });
  return bytes;
}
