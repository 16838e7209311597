// What the conformance suite needs to know of a device model.

import type { NewDevice } from "../../src/core/core.ts";
import type { BusMachine } from "./bus_machine.ts";
import type { TemporaryFolder } from "./temporary_folder.ts";
import type { VirtioDriver } from "./virtio_driver.ts";
import type { ChainPart } from "./virtqueue.ts";

export interface VirtioModel {
  readonly name: string;
  /** Device id (virtio 1.2, section 5). */
  readonly deviceType: number;
  readonly queueCount: number;
  readonly queueSizeMax: number;
  /** Private unless another process has to map it. */
  readonly memory?: "shared";
  /** A new device with its back end. */
  describe(machine: BusMachine, folder: TemporaryFolder): NewDevice;
  /** A queue from which the device takes chains by itself. */
  readonly workQueue: number;
  /** A chain of that queue that the device completes by itself. */
  work(driver: VirtioDriver): readonly ChainPart[];
  /** Bytes of config space that a driver sees. */
  readonly configSize: number;
  /** Why an interrupt may come that the driver did not ask for, which is allowed (2.7.7.2). */
  readonly spuriousInterrupts?: string;
}
