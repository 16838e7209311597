// Devices whose queues another process serves over vhost-user: a disk, a network, a shared folder.
// Where the process listens and what the device is; zig/devices/virtio/vhost_user.zig talks to it.

import { backEndError } from "../../backends/back_end.ts";
import { unixAddress } from "../../backends/socket_address.ts";
import {
  CONSTANTS,
  ModelKind,
  Operation,
  VhostUserKind,
  VhostUserParamsLayout,
} from "../../core/abi.gen.ts";
import type { CoreError } from "../../core/error.ts";
import { encode, type StructValue } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig } from "../../options/config.ts";
import { maxBlockQueues } from "../../options/declarations/devices.ts";
import type { DeviceContext, OpenedDevice } from "../context.ts";
import { macBytes } from "../mac_bytes.ts";

type BlkConfig = Extract<DeviceConfig, { driver: "vhost-user-blk-device" }>;
type NetConfig = Extract<DeviceConfig, { driver: "virtio-net-device" }>;
type FsConfig = Extract<DeviceConfig, { driver: "vhost-user-fs-device" }>;
type Params = StructValue<typeof VhostUserParamsLayout>;

const FS_QUEUE_SIZE = 128;

/** A disk; without a number of queues it has one a processor, as far as its back end has them. */
export function describeVhostUserBlk(config: BlkConfig, context: DeviceContext): OpenedDevice {
  return describe(config.id, config.chardev, context, {
    kind: VhostUserKind.blk,
    queueCount: config.numQueues ?? Math.min(context.config.cpu.count, maxBlockQueues),
    queueSize: config.queueSize,
    flags: config.numQueues === undefined ? 0 : CONSTANTS.vhostUserExactQueues,
  });
}

/** A network whose frames another process moves. */
export function describeVhostUserNet(config: NetConfig, context: DeviceContext): OpenedDevice {
  const netdev = context.config.netdevs.find(({ id }) => id === config.netdev);
  if (netdev === undefined || !("chardev" in netdev)) {
    throw new UserError(`Netdev '${config.netdev}' is no vhost-user.`);
  }
  return describe(config.id, netdev.chardev, context, {
    kind: VhostUserKind.net,
    queueCount: config.mq ? netdev.queues : 1,
    queueSize: config.queueSize,
    mac: macBytes(config.mac),
  });
}

/** A folder of the host, by the name to mount it with. */
export function describeVhostUserFs(config: FsConfig, context: DeviceContext): OpenedDevice {
  const tag = new Uint8Array(VhostUserParamsLayout.fields.tag.length);
  new TextEncoder().encodeInto(config.tag, tag);
  return describe(config.id, config.chardev, context, {
    kind: VhostUserKind.fs,
    queueCount: 1,
    queueSize: FS_QUEUE_SIZE,
    tag,
  });
}

/** What one of these devices is, but for where its back end listens. */
export type DeviceWords = Pick<Params, "kind" | "queueCount" | "queueSize"> & Partial<Params>;

function describe(
  deviceId: string,
  chardev: string,
  context: DeviceContext,
  described: DeviceWords,
): OpenedDevice {
  const backEnd = context.config.backEnds.find(({ id }) => id === chardev);
  if (backEnd === undefined) throw new UserError(`Chardev '${chardev}' does not exist.`);
  const explain = (error: CoreError): Error =>
    error.operation === Operation.backEnd ? backEndError(deviceId, backEnd, error) : error;
  const details = encodeVhostUser(backEnd.path, described);
  return { model: ModelKind.vhostUser, details, explain };
}

/** The device parameters for a back end that listens at a path. */
export function encodeVhostUser(path: string, described: DeviceWords): Uint8Array {
  const sockaddr = unixAddress(path);
  const address = new Uint8Array(VhostUserParamsLayout.fields.address.length);
  address.set(sockaddr);
  return encode(VhostUserParamsLayout, {
    flags: 0,
    mac: new Uint8Array(VhostUserParamsLayout.fields.mac.length),
    tag: new Uint8Array(VhostUserParamsLayout.fields.tag.length),
    ...described,
    address,
    addressSize: sockaddr.length,
  });
}
