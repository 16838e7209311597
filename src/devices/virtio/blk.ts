// virtio-blk: its identity and policy; zig/devices/virtio/blk.zig moves the data.

import type { Drive } from "../../backends/drive.ts";
import { BlkParamsLayout, EngineKind, LIMITS, ModelKind } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import type { DeviceConfig, DriveConfig } from "../../options/config.ts";

export type BlkConfig = Extract<DeviceConfig, { driver: "virtio-blk-device" }>;

const SERIAL_SIZE = 20;

/** The device behind virtio-mmio registers, run by the given iothread. */
export function describeBlk(
  config: BlkConfig,
  drive: { readonly open: Drive; readonly config: DriveConfig },
  place: { readonly gsi: number; readonly iothread: number },
): NewDevice {
  const serial = new Uint8Array(SERIAL_SIZE);
  serial.set(new TextEncoder().encode(config.serial ?? "").subarray(0, SERIAL_SIZE));
  const details = encode(BlkParamsLayout, {
    fd: drive.open.fd,
    engine: engineOf(drive.config),
    capacityBytes: drive.open.sizeBytes,
    requestAlignment: drive.open.alignment,
    bufferAlignment: drive.open.alignment,
    queueCount: config.numQueues,
    queueSize: config.queueSize,
    flags: drive.config.readonly ? LIMITS.blkReadOnly : 0,
    iopsLimit: 0,
    serial,
  });
  return { model: ModelKind.virtioBlk, gsi: place.gsi, iothread: place.iothread, details };
}

function engineOf(drive: DriveConfig): EngineKind {
  switch (drive.aio) {
    case "native":
      return EngineKind.native;
    case "io_uring":
      return EngineKind.ioUring;
    case "off":
      return EngineKind.sync;
  }
}
