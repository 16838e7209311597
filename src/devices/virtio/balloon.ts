// virtio-balloon: its features; zig/devices/virtio/balloon.zig gives the pages back.

import { BalloonParamsLayout, CONSTANTS, ModelKind } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import type { DeviceConfig } from "../../options/config.ts";

export type BalloonConfig = Extract<DeviceConfig, { driver: "virtio-balloon-device" }>;

/** Describes the device, which needs nothing of the host. */
export function describeBalloon(config: BalloonConfig): NewDevice {
  const flags =
    (config.deflateOnOom ? CONSTANTS.balloonDeflateOnOom : 0) |
    (config.freePageReporting ? CONSTANTS.balloonReporting : 0);
  return {
    model: ModelKind.virtioBalloon,
    details: encode(BalloonParamsLayout, { flags }),
  };
}
