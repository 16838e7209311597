// Disks of tests: a file, and the device that serves it.

import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { BlkParamsLayout, EngineKind, ModelKind } from "../../src/core/abi.gen.ts";
import type { BlkParams, NewDevice } from "../../src/core/core.ts";
import { encode } from "../../src/core/struct.ts";
import type { DeviceHost } from "./bus_machine.ts";

export const DISK_GSI = 5;

export interface DiskOptions extends Partial<BlkParams> {
  /** Extra flags of open(2): O_DIRECT, O_RDONLY in place of O_RDWR. */
  readonly openFlags?: number;
  readonly gsi?: number;
  readonly iothread?: number;
}

/** The device parameters of an open file. */
export function describeDisk(fd: number, capacityBytes: number, options: DiskOptions): NewDevice {
  const { openFlags: _, gsi = DISK_GSI, iothread = 0, ...params } = options;
  const details = encode(BlkParamsLayout, {
    fd,
    engine: EngineKind.sync,
    capacityBytes,
    requestAlignment: 1,
    bufferAlignment: 1,
    queueCount: 1,
    queueSize: 64,
    flags: 0,
    iopsLimit: 0,
    serial: new Uint8Array(20),
    ...params,
  });
  return { model: ModelKind.virtioBlk, gsi, iothread, details };
}

/** Makes a file of these bytes and describes a disk on it; the machine closes it. */
export function diskOn(
  machine: DeviceHost,
  path: string,
  content: Uint8Array,
  options: DiskOptions = {},
): NewDevice {
  writeFileSync(path, content);
  const fd = openSync(path, options.openFlags ?? constants.O_RDWR);
  machine.onClose(() => closeSync(fd));
  return describeDisk(fd, content.length, options);
}
