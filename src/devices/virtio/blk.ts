// virtio-blk: its identity and policy; zig/devices/virtio/blk.zig moves the data.

import { type Drive, openDrive } from "../../backends/drive.ts";
import { BlkParamsLayout, CONSTANTS, EngineKind, ModelKind } from "../../core/abi.gen.ts";
import type { BlkParams, NewDevice } from "../../core/core.ts";
import { encode } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig, DriveConfig } from "../../options/config.ts";
import type { DeviceContext } from "../context.ts";

export type BlkConfig = Extract<DeviceConfig, { driver: "virtio-blk-device" }>;

const SERIAL_SIZE = 20;

const NO_DISK: BlkParams = {
  fd: -1,
  engine: EngineKind.sync,
  capacityBytes: 0,
  requestAlignment: 1,
  bufferAlignment: 1,
  queueCount: 1,
  queueSize: 256,
  flags: 0,
  iopsLimit: 0,
  serial: new Uint8Array(SERIAL_SIZE),
};

/** Opens the disk and describes the device on it. */
export function openBlk(config: BlkConfig, context: DeviceContext): NewDevice {
  const drive = context.config.drives.find(({ id }) => id === config.drive);
  if (drive === undefined) throw new UserError(`Drive '${config.drive}' does not exist.`);
  const file = context.keep(openDrive(context.core, drive));
  const details = diskDetails(
    { drive, file, serial: config.serial ?? "" },
    {
      queueCount: config.numQueues,
      queueSize: config.queueSize,
      flags: context.config.machine.replaceable ? CONSTANTS.blkReplaceable : 0,
    },
  );
  const iothread = context.iothreads.get(config.iothread ?? "") ?? 0;
  return { model: ModelKind.virtioBlk, iothread, details };
}

/** A disk of no sectors for a file to come; it offers all that a file can do. */
export function describeEmptyDisk(): NewDevice {
  const flags = CONSTANTS.blkReplaceable | CONSTANTS.blkDiscard | CONSTANTS.blkWriteZeroes;
  const details = encode(BlkParamsLayout, { ...NO_DISK, flags });
  return { model: ModelKind.virtioBlk, details };
}

/** What takes the file away from a disk. */
export function emptyDiskDetails(): Uint8Array {
  return encode(BlkParamsLayout, NO_DISK);
}

export interface Disk {
  readonly drive: DriveConfig;
  readonly file: Drive;
  readonly serial: string;
}

/** A file as the core puts it behind a disk, with what only a new disk needs. */
export function diskDetails(
  { drive, file, serial }: Disk,
  shape: Pick<BlkParams, "queueCount" | "queueSize" | "flags"> = NO_DISK,
): Uint8Array {
  const serialBytes = new Uint8Array(SERIAL_SIZE);
  serialBytes.set(new TextEncoder().encode(serial).subarray(0, SERIAL_SIZE));
  return encode(BlkParamsLayout, {
    ...shape,
    fd: file.fd,
    engine: engineOf(drive),
    capacityBytes: file.sizeBytes,
    requestAlignment: file.requestAlignment,
    bufferAlignment: file.bufferAlignment,
    flags: shape.flags | flagsOf(drive),
    iopsLimit: drive.iopsLimit,
    serial: serialBytes,
  });
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
