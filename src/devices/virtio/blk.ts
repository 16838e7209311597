// virtio-blk: its identity and policy; zig/devices/virtio/blk.zig moves the data.

import { openDrive } from "../../backends/drive.ts";
import { BlkParamsLayout, CONSTANTS, EngineKind, ModelKind } from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig, DriveConfig } from "../../options/config.ts";
import type { DeviceContext } from "../context.ts";

export type BlkConfig = Extract<DeviceConfig, { driver: "virtio-blk-device" }>;

const SERIAL_SIZE = 20;

/** Opens the disk and describes the device on it. */
export function openBlk(config: BlkConfig, context: DeviceContext): NewDevice {
  const drive = context.config.drives.find(({ id }) => id === config.drive);
  if (drive === undefined) throw new UserError(`Drive '${config.drive}' does not exist.`);
  const file = context.keep(openDrive(context.core, drive));
  const serial = new Uint8Array(SERIAL_SIZE);
  serial.set(new TextEncoder().encode(config.serial ?? "").subarray(0, SERIAL_SIZE));
  const details = encode(BlkParamsLayout, {
    fd: file.fd,
    engine: engineOf(drive),
    capacityBytes: file.sizeBytes,
    requestAlignment: file.requestAlignment,
    bufferAlignment: file.bufferAlignment,
    queueCount: config.numQueues,
    queueSize: config.queueSize,
    flags: flagsOf(drive),
    iopsLimit: drive.iopsLimit,
    serial,
  });
  const iothread = context.iothreads.get(config.iothread ?? "") ?? 0;
  return { model: ModelKind.virtioBlk, iothread, details };
}

/**
 * What the device offers and does with zeroes. The write-zeroes command comes with detect-zeroes;
 * a read-only disk has neither that nor discard.
 */
function flagsOf({ readonly, discard, detectZeroes }: DriveConfig): number {
  if (readonly) return CONSTANTS.blkReadOnly;
  const isDetecting = detectZeroes !== "off";
  const zeroes = isDetecting ? CONSTANTS.blkWriteZeroes | CONSTANTS.blkDetectZeroes : 0;
  const unmap = discard && detectZeroes === "unmap" ? CONSTANTS.blkDetectUnmap : 0;
  return (discard ? CONSTANTS.blkDiscard : 0) | zeroes | unmap;
}

/** aio=threads has the device's thread do one request after the other, as aio=off does. */
function engineOf(drive: DriveConfig): EngineKind {
  switch (drive.aio) {
    case "native":
      return EngineKind.native;
    case "io_uring":
      return EngineKind.ioUring;
    case "threads":
    case "off":
      return EngineKind.sync;
  }
}
