// What every virtio transport offers to a guest driver, whatever its registers are.

import type { DeviceId, NewDevice } from "../../src/core/core.ts";
import type { BusMachine } from "./bus_machine.ts";
import type { QueueAddresses } from "./virtqueue.ts";

/** Device status bits (virtio 1.2, section 2.1). */
export const STATUS = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;

/** Feature bits that every device has (section 6). */
export const FEATURE = {
  indirect: 1n << 28n,
  eventIndex: 1n << 29n,
  version1: 1n << 32n,
} as const;

/** Bits of the interrupt status. */
export const INTERRUPT = { queue: 1, config: 2 } as const;

export interface VirtioTransport {
  readonly device: DeviceId;
  deviceType(): number;
  offeredFeatures(): bigint;
  writeFeatures(features: bigint): void;
  status(): number;
  writeStatus(value: number): void;
  queueSizeMax(queue: number): number;
  writeQueue(queue: number, size: number, addresses: QueueAddresses): void;
  setQueueReady(queue: number, ready: 0 | 1): void;
  isQueueReady(queue: number): boolean;
  notify(queue: number): void;
  interruptStatus(): number;
  acknowledgeInterrupt(bits: number): void;
  /** Interrupts that the device has raised so far. */
  interruptCount(): number;
  configGeneration(): number;
  readConfig(offset: number, size: number): bigint;
  writeConfig(offset: number, size: number, value: bigint): void;
}

/** A way to put a device on the bus. */
export interface TransportKind {
  readonly name: string;
  attach(machine: BusMachine, description: NewDevice): VirtioTransport;
}
