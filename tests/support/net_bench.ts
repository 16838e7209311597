// A virtio-net device whose tap is a socket: frames are seen as they pass, with their headers.

import { BusMachine } from "./bus_machine.ts";
import { type FrameSocket, openFramePair } from "./datagrams.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { describeNet, NetDriver, type NetOptions } from "./net_driver.ts";

export interface NetBenchOptions extends NetOptions {
  readonly features?: bigint;
}

export class NetBench implements Disposable {
  readonly machine = new BusMachine();
  readonly driver: NetDriver;
  /** The other end of the device's tap. */
  readonly wire: FrameSocket;
  readonly #features: bigint;

  constructor(options: NetBenchOptions = {}) {
    const { features = 0n, ...params } = options;
    const { device, peer } = openFramePair(this.machine);
    this.wire = peer;
    this.#features = features;
    const transport = new MmioTransport(this.machine, describeNet([device], params));
    this.driver = new NetDriver(transport, this.machine.ram);
    this.start();
  }

  start(): void {
    this.driver.start({ features: this.#features, queueCount: 3 });
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}
