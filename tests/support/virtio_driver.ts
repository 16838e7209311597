// A guest driver for any virtio device: initialises it as section 3.1.1 of virtio 1.2 says, and
// runs chains through its queues.

import type { GuestRam } from "./guest_ram.ts";
import { until } from "./until.ts";
import { FEATURE, STATUS, type VirtioTransport } from "./virtio_transport.ts";
import { type ChainPart, type UsedElement, Virtqueue } from "./virtqueue.ts";

export interface StartOptions {
  /** Of those offered; VERSION_1 is always taken. */
  readonly features?: bigint;
  readonly queueCount?: number;
  readonly queueSize?: number;
}

export class VirtioDriver {
  readonly transport: VirtioTransport;
  readonly queues: Virtqueue[] = [];
  readonly ram: GuestRam;
  #features = 0n;

  constructor(transport: VirtioTransport, ram: GuestRam) {
    this.transport = transport;
    this.ram = ram;
  }

  get features(): bigint {
    return this.#features;
  }

  /** Is what the other was, memory and all; the other must not go on. */
  takeOver(other: VirtioDriver): void {
    this.ram.takeOver(other.ram);
    this.#features = other.#features;
    this.queues.splice(0, this.queues.length, ...other.queues);
    for (const queue of this.queues) queue.moveTo(this.ram);
  }

  /** From reset to DRIVER_OK. */
  start(options: StartOptions = {}): void {
    this.negotiate(options.features ?? 0n);
    for (let queue = 0; queue < (options.queueCount ?? 1); queue += 1) {
      this.setUpQueue(queue, options.queueSize);
    }
    this.finishStart();
  }

  /** Up to FEATURES_OK, which the device must keep. */
  negotiate(features: bigint): void {
    const { transport } = this;
    transport.writeStatus(0);
    this.queues.length = 0;
    this.#features = features | FEATURE.version1;
    transport.writeStatus(STATUS.acknowledge);
    transport.writeStatus(STATUS.acknowledge | STATUS.driver);
    transport.writeFeatures(this.#features);
    transport.writeStatus(STATUS.acknowledge | STATUS.driver | STATUS.featuresOk);
    if ((transport.status() & STATUS.featuresOk) === 0) throw new Error("features were refused");
  }

  setUpQueue(queue: number, size?: number): Virtqueue {
    const created = new Virtqueue(this.ram, size ?? this.transport.queueSizeMax(queue));
    this.queues[queue] = created;
    this.transport.writeQueue(queue, created.size, created.addresses);
    this.transport.setQueueReady(queue, 1);
    return created;
  }

  finishStart(): void {
    this.transport.writeStatus(this.transport.status() | STATUS.driverOk);
  }

  queue(index: number): Virtqueue {
    const queue = this.queues[index];
    if (queue === undefined) throw new Error(`queue ${index} is not set up`);
    return queue;
  }

  /** Offers one chain and notifies if the device wants that. */
  offer(index: number, parts: readonly ChainPart[]): number {
    const queue = this.queue(index);
    const head = queue.add(parts);
    const hasEventIndex = (this.#features & FEATURE.eventIndex) !== 0n;
    if (queue.publish(hasEventIndex ? "event index" : "flag")) this.transport.notify(index);
    return head;
  }

  /** Waits until `count` more chains are used. */
  async takeUsed(index: number, count: number): Promise<UsedElement[]> {
    const queue = this.queue(index);
    const used: UsedElement[] = [];
    await until(`${count} used chains`, () => {
      used.push(...queue.takeUsed());
      return used.length >= count;
    });
    return used;
  }

  /** Runs one chain to its end; returns the length that the device reports. */
  async run(index: number, parts: readonly ChainPart[]): Promise<number> {
    this.offer(index, parts);
    const [used] = await this.takeUsed(index, 1);
    return used?.length ?? 0;
  }

  get needsReset(): boolean {
    return (this.transport.status() & STATUS.needsReset) !== 0;
  }
}
