// A virtio-blk device made from a -drive value, as the machine makes it, on a machine of its own.

import { openBlk } from "../../src/devices/virtio/blk.ts";
import { parseCommandLine } from "../../src/options/command_line.ts";
import type { Config } from "../../src/options/config.ts";
import { BLK_FEATURE, BlkDriver } from "./blk_driver.ts";
import { BusMachine } from "./bus_machine.ts";
import { DISK_GSI } from "./disk.ts";
import { MmioTransport } from "./mmio_transport.ts";

const OPTIONAL_FEATURES = BLK_FEATURE.flush | BLK_FEATURE.discard | BLK_FEATURE.writeZeroes;

function configOf(drive: string): Config {
  const device = ["-device", "virtio-blk-device,drive=d"];
  const result = parseCommandLine(["-kernel", "k", "-drive", `id=d,${drive}`, ...device], "0.1.0");
  if (result.kind === "print") throw new Error("the command line only prints");
  return result.config;
}

export class DriveBench implements Disposable {
  readonly machine = new BusMachine();
  readonly driver: BlkDriver;

  /** `drive` is what follows `-drive id=d,`. */
  constructor(drive: string) {
    const { machine } = this;
    try {
      this.driver = new BlkDriver(
        new MmioTransport(machine, describe(machine, drive)),
        machine.ram,
      );
    } catch (error) {
      machine[Symbol.dispose]();
      throw error;
    }
  }

  /** Starts the driver with every feature of disks that the device offers. */
  start(): void {
    const offered = this.driver.transport.offeredFeatures();
    this.driver.start({ features: offered & OPTIONAL_FEATURES });
  }

  /** Discard or write-zeroes of one range. */
  changeRange(type: number, range: { sector: number; count: number; flags?: number }) {
    const bytes = new DataView(new ArrayBuffer(16));
    bytes.setBigUint64(0, BigInt(range.sector), true);
    bytes.setUint32(8, range.count, true);
    bytes.setUint32(12, range.flags ?? 0, true);
    const output = [this.driver.ram.place(new Uint8Array(bytes.buffer))];
    return this.driver.request({ type, output });
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

function describe(machine: BusMachine, drive: string) {
  const config = configOf(drive);
  const [device] = config.devices;
  if (device?.driver !== "virtio-blk-device") throw new Error("the device is missing");
  const description = openBlk(device, {
    core: machine.core,
    config,
    chardevs: new Map(),
    iothreads: new Map(),
    keep: (resource) => {
      machine.onClose(() => resource.close());
      return resource;
    },
  });
  return { ...description, gsi: DISK_GSI };
}
