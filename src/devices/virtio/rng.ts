// virtio-rng: its source and its limit; zig/devices/virtio/rng.zig moves the bytes.

import { openRandomSource } from "../../backends/random_source.ts";
import { ModelKind, RngParamsLayout } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig } from "../../options/config.ts";
import { bytesPerSecond } from "../../options/random_rate.ts";
import type { DeviceContext } from "../context.ts";

export type RngConfig = Extract<DeviceConfig, { driver: "virtio-rng-device" }>;

/** Opens the source and describes the device on it. */
export function openRng(config: RngConfig, context: DeviceContext): NewDevice {
  const named = context.config.randomSources.find(({ id }) => id === config.rng);
  if (named === undefined) throw new UserError(`Random source '${config.rng}' does not exist.`);
  const { fd } = context.keep(openRandomSource(named));
  const rate = Math.floor(bytesPerSecond(config) ?? 0);
  const details = encode(RngParamsLayout, { fd, rate });
  return { model: ModelKind.virtioRng, details };
}
