// A microvm without processors whose slots are filled and emptied, as QMP does it, with drivers of
// a guest in them.

import "./core_library.ts";
import type { Log } from "../../src/host/log.ts";
import { type Assembly, assemble } from "../../src/machine/assemble.ts";
import type { HotSlots } from "../../src/machine/hot_slots.ts";
import { Machine } from "../../src/machine/machine.ts";
import { buildBlockdev, buildHotDevice, buildHotNetdev } from "../../src/options/hot_replace.ts";
import type { QmpEvent } from "../../src/qmp/machine_control.ts";
import { configOf } from "../options/run.ts";
import type { DeviceHost } from "./bus_machine.ts";
import { GuestRam } from "./guest_ram.ts";
import { MmioTransport } from "./mmio_transport.ts";

const SLOTS_START = 0xf010_0000;
const SLOT_SIZE = 0x200;
/** Slots of disks come first. */
export const FIRST_NETWORK_SLOT = 4;
const MIB = 2 ** 20;

const SILENT: Log = {
  fd: 2,
  error() {},
  warn() {},
  info() {},
  debug() {},
  showsTrace: false,
  trace() {},
  onTurn() {},
  close() {},
};

export class HotBench implements DeviceHost, Disposable {
  readonly events: QmpEvent[] = [];
  readonly ram: GuestRam;
  readonly machine: Machine;
  readonly #assembly: Assembly;
  readonly #closers: (() => void)[] = [];

  private constructor(machine: Machine, assembly: Assembly) {
    this.machine = machine;
    this.#assembly = assembly;
    this.ram = new GuestRam(assembly.core, { start: MIB, end: 100 * MIB });
    machine.onEvent((event) => this.events.push(event));
  }

  /** `line` is a part of a command line. */
  static async create(line = ""): Promise<HotBench> {
    const config = configOf(`-machine microvm,accel=test,replaceable=on -m 128M ${line}`);
    const assembly = assemble(config);
    return new HotBench(await Machine.create(assembly, config, SILENT), assembly);
  }

  get core() {
    return this.#assembly.core;
  }

  get slots(): HotSlots {
    const slots = this.machine.hotReplace();
    if (slots === undefined) throw new Error("the machine has no such slots");
    return slots;
  }

  deviceNames(): string[] {
    return [...this.#assembly.devices.keys()];
  }

  /** The registers in a slot, counted from the first for disks. */
  transport(index: number): MmioTransport {
    const base = SLOTS_START + index * SLOT_SIZE;
    const window = this.#assembly.windows.find((each) => each.base === base);
    if (window === undefined) throw new Error(`there is no device in slot ${index}`);
    return new MmioTransport(this, { device: window.device, base });
  }

  /** blockdev-add and device_add with the same id. */
  addDisk(id: string, keys: Parameters<typeof buildBlockdev>[0], addr?: string): void {
    this.slots.addDrive(buildBlockdev({ ...keys, id }));
    this.#addDevice(id, "virtio-blk-mmio", addr);
  }

  /** netdev_add of a descriptor and device_add. */
  addCard(id: string, fd: number, mac?: string): void {
    this.slots.addNetdev(buildHotNetdev("tap", { id, fd }));
    const keys = { id, driver: "virtio-net-mmio", chardev: id, mac };
    this.slots.addDevice(buildHotDevice(keys, this.slots.slotCounts));
  }

  #addDevice(id: string, driver: string, addr: string | undefined): void {
    this.slots.addDevice(buildHotDevice({ id, driver, addr }, this.slots.slotCounts));
  }

  addMmioWindow(): number {
    throw new Error("the machine is complete");
  }

  onClose(closer: () => void): void {
    this.#closers.push(closer);
  }

  [Symbol.dispose](): void {
    this.machine.close();
    for (const closer of this.#closers) closer();
  }
}
