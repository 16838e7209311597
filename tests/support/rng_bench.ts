// A virtio-rng device on its own machine, and the same for the conformance suite.

import { closeSync, constants, openSync } from "node:fs";
import { ModelKind, RngParamsLayout } from "../../src/core/abi.gen.ts";
import type { NewDevice } from "../../src/core/core.ts";
import { encode } from "../../src/core/struct.ts";
import { BusMachine } from "./bus_machine.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { VirtioDriver } from "./virtio_driver.ts";
import type { VirtioModel } from "./virtio_model.ts";

const GSI = 11;
const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;

function describeRng(fd: number, rate: number): NewDevice {
  const details = encode(RngParamsLayout, { fd, rate });
  return { model: ModelKind.virtioRng, gsi: GSI, details };
}

/** Opens a source as the program does; the machine closes it. */
export function openSource(machine: BusMachine, path: string): number {
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  machine.onClose(() => closeSync(fd));
  return fd;
}

export class RngBench implements Disposable {
  readonly machine = new BusMachine();
  readonly driver: VirtioDriver;

  /** `rate` is in bytes a second; 0: no limit. */
  constructor(options: { readonly source?: string; readonly rate?: number } = {}) {
    this.driver = this.addDevice(
      openSource(this.machine, options.source ?? "/dev/urandom"),
      options.rate ?? 0,
    );
  }

  addDevice(fd: number, rate = 0): VirtioDriver {
    const transport = new MmioTransport(this.machine, describeRng(fd, rate));
    return new VirtioDriver(transport, this.machine.ram);
  }

  /** Asks for bytes in pieces of these sizes; returns those that came. */
  async ask(sizes: readonly number[], driver = this.driver): Promise<Uint8Array> {
    const parts = sizes.map((size) => ({ ...driver.ram.allocate(size, 1), writable: true }));
    const length = await driver.run(0, parts);
    const bytes = Buffer.concat(parts.map((part) => driver.ram.read(part)));
    return bytes.subarray(0, length);
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

export const rngModel: VirtioModel = {
  name: "virtio-rng",
  deviceType: 4,
  queueCount: 1,
  queueSizeMax: 256,
  workQueue: 0,
  configSize: 0,
  describe: (machine) => describeRng(openSource(machine, "/dev/urandom"), 0),
  work: ({ ram }) => [{ ...ram.allocate(64), writable: true }],
};
