// One virtio-blk device on its own machine, with its file.

import { BlkDriver } from "./blk_driver.ts";
import { BusMachine } from "./bus_machine.ts";
import { type DiskOptions, diskOn } from "./disk.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { TemporaryFolder } from "./temporary_folder.ts";

const DEFAULT_SIZE = 256 * 512;

export interface BlkBenchOptions extends Omit<DiskOptions, "iothread"> {
  /** What the file holds at first; 256 sectors of zeroes if not given. */
  readonly content?: Uint8Array;
  /** Where the device's work is done: the common thread, or one for it alone. */
  readonly iothread?: "common" | "own";
}

export class BlkBench implements Disposable {
  readonly folder = new TemporaryFolder();
  readonly machine = new BusMachine();
  readonly path = this.folder.file("disk.img");
  readonly driver: BlkDriver;

  constructor(options: BlkBenchOptions) {
    const { content = new Uint8Array(DEFAULT_SIZE), iothread: place = "common", ...disk } = options;
    const iothread = place === "own" ? this.machine.core.createThread("iothread") : 0;
    const description = diskOn(this.machine, this.path, content, { ...disk, iothread });
    this.driver = new BlkDriver(new MmioTransport(this.machine, description), this.machine.ram);
  }

  /** Discard or write-zeroes of one range. */
  changeRange(type: number, sector: number, count: number, flags: number): Promise<number> {
    const range = new DataView(new ArrayBuffer(16));
    range.setBigUint64(0, BigInt(sector), true);
    range.setUint32(8, count, true);
    range.setUint32(12, flags, true);
    const output = [this.driver.ram.place(new Uint8Array(range.buffer))];
    return this.driver.request({ type, output });
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}
