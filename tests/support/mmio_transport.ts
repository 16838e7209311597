// A guest's view of virtio-mmio registers, version 2 (virtio 1.2, section 4.2.2).

import { Space } from "../../src/core/abi.gen.ts";
import type { DeviceId, NewDevice } from "../../src/core/core.ts";
import type { DeviceHost } from "./bus_machine.ts";
import type { VirtioTransport } from "./virtio_transport.ts";
import type { QueueAddresses } from "./virtqueue.ts";

export const REGISTER = {
  magic: 0x00,
  version: 0x04,
  deviceId: 0x08,
  vendorId: 0x0c,
  deviceFeatures: 0x10,
  deviceFeaturesSelect: 0x14,
  driverFeatures: 0x20,
  driverFeaturesSelect: 0x24,
  queueSelect: 0x30,
  queueSizeMax: 0x34,
  queueSize: 0x38,
  queueReady: 0x44,
  queueNotify: 0x50,
  interruptStatus: 0x60,
  interruptAcknowledge: 0x64,
  status: 0x70,
  descriptors: 0x80,
  available: 0x90,
  used: 0xa0,
  sharedMemoryLength: 0xb0,
  sharedMemoryBase: 0xb8,
  configGeneration: 0xfc,
  config: 0x100,
} as const;

const WINDOW_SIZE = 0x200;

export interface PlacedDevice {
  readonly device: DeviceId;
  readonly base: number;
}

function place(machine: DeviceHost, description: NewDevice): PlacedDevice {
  const device = machine.core.createDevice(description);
  return { device, base: machine.addMmioWindow(device, WINDOW_SIZE) };
}

export class MmioTransport implements VirtioTransport {
  readonly device: DeviceId;
  readonly base: number;
  readonly #machine: DeviceHost;

  /** A new device in the next free window, or one that has its window. */
  constructor(machine: DeviceHost, description: NewDevice | PlacedDevice) {
    this.#machine = machine;
    const placed = "base" in description ? description : place(machine, description);
    this.device = placed.device;
    this.base = placed.base;
  }

  /** A register of 32 bits. */
  read(offset: number): number {
    return Number(this.#machine.core.busRead(Space.mmio, this.base + offset, 4));
  }

  write(offset: number, value: number): void {
    this.#machine.core.busWrite(Space.mmio, this.base + offset, 4, BigInt(value >>> 0));
  }

  deviceType(): number {
    return this.read(REGISTER.deviceId);
  }

  offeredFeatures(): bigint {
    const words = [0, 1].map((select) => {
      this.write(REGISTER.deviceFeaturesSelect, select);
      return BigInt(this.read(REGISTER.deviceFeatures));
    });
    return (words[0] ?? 0n) | ((words[1] ?? 0n) << 32n);
  }

  writeFeatures(features: bigint): void {
    for (const select of [0, 1]) {
      this.write(REGISTER.driverFeaturesSelect, select);
      const word = (features >> BigInt(32 * select)) & 0xffff_ffffn;
      this.write(REGISTER.driverFeatures, Number(word));
    }
  }

  status(): number {
    return this.read(REGISTER.status);
  }

  writeStatus(value: number): void {
    this.write(REGISTER.status, value);
  }

  queueSizeMax(queue: number): number {
    this.write(REGISTER.queueSelect, queue);
    return this.read(REGISTER.queueSizeMax);
  }

  writeQueue(queue: number, size: number, addresses: QueueAddresses): void {
    this.write(REGISTER.queueSelect, queue);
    this.write(REGISTER.queueSize, size);
    this.#writeAddress(REGISTER.descriptors, addresses.descriptors);
    this.#writeAddress(REGISTER.available, addresses.available);
    this.#writeAddress(REGISTER.used, addresses.used);
  }

  #writeAddress(register: number, address: number): void {
    this.write(register, address % 2 ** 32);
    this.write(register + 4, Math.floor(address / 2 ** 32));
  }

  setQueueReady(queue: number, ready: 0 | 1): void {
    this.write(REGISTER.queueSelect, queue);
    this.write(REGISTER.queueReady, ready);
  }

  isQueueReady(queue: number): boolean {
    this.write(REGISTER.queueSelect, queue);
    return this.read(REGISTER.queueReady) === 1;
  }

  notify(queue: number): void {
    this.write(REGISTER.queueNotify, queue);
  }

  interruptStatus(): number {
    return this.read(REGISTER.interruptStatus);
  }

  acknowledgeInterrupt(bits: number): void {
    this.write(REGISTER.interruptAcknowledge, bits);
  }

  interruptCount(): number {
    return this.#machine.core.deviceInfo(this.device).interruptCount;
  }

  configGeneration(): number {
    return this.read(REGISTER.configGeneration);
  }

  readConfig(offset: number, size: number): bigint {
    return this.#machine.core.busRead(Space.mmio, this.base + REGISTER.config + offset, size);
  }

  writeConfig(offset: number, size: number, value: bigint): void {
    const address = this.base + REGISTER.config + offset;
    this.#machine.core.busWrite(Space.mmio, address, size, value);
  }
}
