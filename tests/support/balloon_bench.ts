// A virtio-balloon device on its own machine, and the same for the conformance suite.

import { BalloonParamsLayout, CONSTANTS, ModelKind } from "../../src/core/abi.gen.ts";
import type { BalloonInfo, NewDevice } from "../../src/core/core.ts";
import { encode } from "../../src/core/struct.ts";
import { BusMachine } from "./bus_machine.ts";
import type { GuestBuffer } from "./guest_ram.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { VirtioDriver } from "./virtio_driver.ts";
import type { VirtioModel } from "./virtio_model.ts";

export const PAGE = CONSTANTS.balloonPageSize;

/** Queues when the device offers neither statistics nor hints (virtio 1.2, section 5.5.2). */
export const BALLOON_QUEUE = { inflate: 0, deflate: 1, reporting: 2 } as const;

export const BALLOON_FEATURE = { deflateOnOom: 1n << 2n, reporting: 1n << 5n } as const;

const GSI = 12;

function describeBalloon(flags: number): NewDevice {
  const details = encode(BalloonParamsLayout, { flags });
  return { model: ModelKind.virtioBalloon, gsi: GSI, details };
}

/** Page numbers as a driver sends them. */
export function pageNumbers(pages: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(pages).buffer);
}

export class BalloonBench implements Disposable {
  readonly machine = new BusMachine();
  readonly driver: VirtioDriver;

  constructor(flags: number = CONSTANTS.balloonReporting) {
    const transport = new MmioTransport(this.machine, describeBalloon(flags));
    this.driver = new VirtioDriver(transport, this.machine.ram);
  }

  start(): void {
    this.driver.start({ features: BALLOON_FEATURE.reporting, queueCount: 3 });
  }

  get info(): BalloonInfo {
    return this.machine.core.balloon(this.driver.transport.device);
  }

  /** Pages of guest memory filled with ones; returns the number of the first. */
  fillPages(count: number): number {
    const { address } = this.machine.ram.place(new Uint8Array(count * PAGE).fill(1), PAGE);
    return address / PAGE;
  }

  page(number: number): GuestBuffer {
    return { address: number * PAGE, length: PAGE };
  }

  /** Sends page numbers to a queue in one buffer, and waits until they are taken. */
  async send(queue: number, pages: readonly number[]): Promise<void> {
    const buffer = this.machine.ram.place(pageNumbers(pages));
    await this.driver.run(queue, [{ ...buffer, writable: false }]);
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

export const balloonModel: VirtioModel = {
  name: "virtio-balloon",
  deviceType: 5,
  queueCount: 3,
  queueSizeMax: 256,
  workQueue: BALLOON_QUEUE.inflate,
  configSize: 8,
  describe: () => describeBalloon(CONSTANTS.balloonReporting | CONSTANTS.balloonDeflateOnOom),
  work: ({ ram }) => {
    const page = ram.allocate(PAGE, PAGE).address / PAGE;
    return [{ ...ram.place(pageNumbers([page])), writable: false }];
  },
};
