// vhost-vsock: the address of the guest. The kernel moves the data; zig/devices/virtio/vsock.zig
// hands it the queues.

import { openVhostVsock } from "../../backends/vhost.ts";
import { ModelKind, VsockParamsLayout } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import type { DeviceConfig } from "../../options/config.ts";
import type { DeviceContext } from "../context.ts";

export type VsockConfig = Extract<DeviceConfig, { driver: "vhost-vsock-device" }>;

/** Opens the kernel's device and describes the guest's on it. */
export function openVsock(config: VsockConfig, context: DeviceContext): NewDevice {
  const { guestCid } = config;
  const { fd, features } = context.keep(openVhostVsock(context.core, config));
  const details = encode(VsockParamsLayout, { fd, guestCid, features });
  return { model: ModelKind.vhostVsock, iothread: 0, details };
}
