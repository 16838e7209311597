// Every device driver of the program: which slots it may take and how it is made. A new driver is
// its own file and a line here.

import type { BoardDevice } from "../options/serial_ports.ts";
import { isServedElsewhere } from "../options/vhost_user.ts";
import type { DeviceClass, DeviceContext, OpenedDevice } from "./context.ts";
import { describeBalloon } from "./virtio/balloon.ts";
import { openBlk } from "./virtio/blk.ts";
import { describeConsole } from "./virtio/console.ts";
import { openNet } from "./virtio/net.ts";
import { openRng } from "./virtio/rng.ts";
import {
  describeVhostUserBlk,
  describeVhostUserFs,
  describeVhostUserNet,
} from "./virtio/vhost_user.ts";
import { openVsock } from "./virtio/vsock.ts";

const CLASSES: Readonly<Record<BoardDevice["driver"], DeviceClass>> = {
  "virtio-blk-device": "block",
  "virtio-net-device": "network",
  "virtio-rng-device": "other",
  "virtio-balloon-device": "other",
  "vhost-user-blk-device": "block",
  "vhost-user-fs-device": "other",
  "virtio-serial-device": "other",
  "vhost-vsock-device": "other",
};

/** Which slots of a board this driver may take. */
export function deviceClassOf(driver: BoardDevice["driver"]): DeviceClass {
  return CLASSES[driver];
}

/** Opens what the device needs on the host and describes it to the core, but for its place. */
export function openDevice(device: BoardDevice, context: DeviceContext): OpenedDevice {
  switch (device.driver) {
    case "virtio-blk-device":
      return openBlk(device, context);
    case "virtio-rng-device":
      return openRng(device, context);
    case "virtio-balloon-device":
      return describeBalloon(device);
    case "virtio-serial-device":
      return describeConsole(device, context);
    case "virtio-net-device":
      return isServedElsewhere(device, context.config)
        ? describeVhostUserNet(device, context)
        : openNet(device, context);
    case "vhost-user-blk-device":
      return describeVhostUserBlk(device, context);
    case "vhost-user-fs-device":
      return describeVhostUserFs(device, context);
    case "vhost-vsock-device":
      return openVsock(device, context);
  }
}
