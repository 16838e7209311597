// From a configuration to a machine that can run: memory, interrupt chips, devices, address map,
// boot, vCPUs. A page, top to bottom; the board's data say where things are.

import { closeSync } from "node:fs";
import { type Chardev, openChardev } from "../backends/chardev.ts";
import { openKvm } from "../backends/kvm.ts";
import { ModelKind, Space } from "../core/abi.gen.ts";
import { Core, type DeviceId, type NewDevice, type Topology, type Window } from "../core/core.ts";
import { CoreError } from "../core/error.ts";
import { takeEarlyVm } from "../core/static_program.ts";
import type { DeviceContext, OpenedDevice } from "../devices/context.ts";
import { deviceClassOf, openDevice } from "../devices/registry.ts";
import { describeEmptyDisk } from "../devices/virtio/blk.ts";
import { describeEmptyCard } from "../devices/virtio/net.ts";
import { removeOwnFile } from "../files.ts";
import { type AddressRange, ramRanges } from "../firmware/e820.ts";
import type { Config } from "../options/config.ts";
import { type BoardDevice, boardDevices } from "../options/serial_ports.ts";
import * as microvm from "./boards/microvm.ts";
import { loadKernel } from "./boot.ts";
import { emptyMac, type HotSlot, hotSlot, nameOfEmpty, occupantOf } from "./hot_slot.ts";
import { addGuestMemory } from "./memory.ts";
import { type Resource, Resources } from "./resources.ts";
import { planSlots, type Slot } from "./slot_plan.ts";
import type { Incoming } from "./snapshot/incoming.ts";

const DEBUG_PORT = "debug port";

/** A machine that is built and waits, paused, for its first instruction. */
export interface Assembly {
  readonly core: Core;
  readonly resources: Resources;
  readonly chardevs: ReadonlyMap<string, Chardev>;
  /** Iothread ids with their numbers in the core. */
  readonly iothreads: ReadonlyMap<string, number>;
  readonly vcpuCount: number;
  /** Of a board that has one. */
  readonly debugPort: DeviceId | undefined;
  readonly ram: readonly AddressRange[];
  /** The pieces of RAM as the core has them. */
  readonly ramPieces: readonly AddressRange[];
  /** The address map. */
  readonly windows: readonly Window[];
  /** Devices of the board by their names. */
  readonly platform: ReadonlyMap<string, DeviceId>;
  /** Devices of the user by their ids. */
  readonly devices: Map<string, DeviceId>;
  /** How those of the command line were made and where the guest finds them. */
  readonly descriptions: readonly DeviceDescription[];
  /** Slots whose back ends can be replaced, with the devices in them. */
  readonly hotSlots: readonly HotSlot[];
  /** Interrupt lines with the device behind each, for tests. */
  readonly lines: ReadonlyMap<number, DeviceId>;
}

/** A device of the user in its slot. */
export interface DeviceDescription {
  readonly config: BoardDevice;
  readonly device: NewDevice;
  readonly slot: Slot;
}

/** `incoming` makes a machine that goes on where it was saved. */
export function assemble(config: Config, incoming?: Incoming): Assembly {
  const resources = new Resources();
  try {
    return BUILDERS[config.machine.type](config, resources, incoming);
  } catch (error) {
    resources.close();
    throw error;
  }
}

const BUILDERS = { none: buildNone, microvm: buildMicrovm } as const;

/** Nothing but a control plane: libvirt asks it what this program can do. */
function buildNone(config: Config, resources: Resources): Assembly {
  const core = own(Core.create(), resources);
  return {
    core,
    resources,
    chardevs: openChardevs(core, config, resources),
    iothreads: new Map(config.iothreads.map(({ id }) => [id, core.createThread(id)])),
    vcpuCount: 0,
    debugPort: undefined,
    ram: [],
    ramPieces: [],
    windows: [],
    platform: new Map(),
    devices: new Map(),
    descriptions: [],
    hotSlots: [],
    lines: new Map(),
  };
}

function buildMicrovm(config: Config, resources: Resources, incoming?: Incoming): Assembly {
  const core = openCore(config, resources);
  const ram = ramRanges(microvm.memoryLayout(config.memory.sizeBytes));
  const saved = incoming && { saved: incoming.memory };
  const ramPieces = addGuestMemory(core, config, { ranges: ram, resources, ...saved });
  core.createInterruptChips();
  if (config.machine.pit) core.createPit();
  const iothreads = new Map(config.iothreads.map(({ id }) => [id, core.createThread(id)]));
  const chardevs = openChardevs(core, config, resources);
  const devices = new DeviceBuilder(core);
  addPlatform(devices, config, chardevs);
  const descriptions = addVirtio(devices, {
    core,
    config,
    chardevs,
    iothreads,
    keep: (resource) => resources.add(resource),
  });
  core.publishMap(devices.windows);
  const { lines, named, platform, windows, hotSlots } = devices;
  const vcpuCount = config.machine.accel === "kvm" ? config.cpu.count : 0;
  const parts = { vcpuCount, platform, devices: named, descriptions, hotSlots };
  const topology = createVcpus(core, config, vcpuCount);
  if (incoming !== undefined) incoming.restore(core, parts);
  else if (vcpuCount > 0) {
    core.setEntry(loadKernel(core, { config, topology, slots: devices.slots }));
  }
  if (vcpuCount > 0) core.startVcpus();
  const debugPort = platform.get(DEBUG_PORT);
  const memory = { ram, ramPieces, windows, lines };
  return { core, resources, chardevs, iothreads, debugPort, ...memory, ...parts };
}

function openCore(config: Config, resources: Resources): Core {
  if (config.machine.accel === "test") return own(Core.create(), resources);
  const early = takeEarlyVm();
  const systemFd = early?.systemFd ?? openKvm();
  try {
    return own(Core.create(systemFd, early), resources);
  } finally {
    resources.onClose(() => closeSync(systemFd));
  }
}

function own(core: Core, resources: Resources): Core {
  resources.onClose(() => core.destroy());
  return core;
}

function openChardevs(core: Core, config: Config, resources: Resources): Map<string, Chardev> {
  return new Map(
    config.chardevs.map((chardev) => {
      const opened = resources.add(openChardev(core, chardev));
      const { id, newPath } = opened;
      if (newPath !== undefined) resources.onFailure(() => removeOwnFile(newPath));
      return [id, opened];
    }),
  );
}

/** Collects the windows of the address map while devices are made. */
class DeviceBuilder {
  readonly core: Core;
  readonly windows: Window[] = [];
  readonly lines = new Map<number, DeviceId>();
  readonly platform = new Map<string, DeviceId>();
  readonly named = new Map<string, DeviceId>();
  readonly hotSlots: HotSlot[] = [];
  readonly #slots: Slot[] = [];

  constructor(core: Core) {
    this.core = core;
  }

  addBoardDevice(name: string, description: NewDevice): DeviceId {
    const device = this.core.createDevice(description);
    this.platform.set(name, device);
    return device;
  }

  addPorts(device: DeviceId, region: number, range: { port: number; count: number }): void {
    const { port: base, count: size } = range;
    this.windows.push({ base, size, space: Space.pio, device, region });
  }

  addSlot(device: DeviceId, slot: Slot): void {
    const window = { base: slot.address, size: slot.size, space: Space.mmio, device, region: 0 };
    this.windows.push(window);
    this.lines.set(slot.irq, device);
    this.#slots.push(slot);
  }

  /** Those with a device, in the order of their addresses. */
  get slots(): readonly Slot[] {
    return this.#slots.toSorted((a, b) => a.address - b.address);
  }
}

function addPlatform(
  devices: DeviceBuilder,
  config: Config,
  chardevs: ReadonlyMap<string, Chardev>,
): void {
  if (config.serial !== undefined) {
    const chardev = chardevs.get(config.serial.chardev)?.index;
    const gsi = microvm.SERIAL.irq;
    const description = { model: ModelKind.serial, gsi };
    const serial = devices.addBoardDevice(
      "serial port",
      chardev === undefined ? description : { ...description, chardev },
    );
    const { port } = microvm.SERIAL;
    devices.addPorts(serial, 0, { port, count: microvm.DEBUG_PORT - port });
    devices.lines.set(gsi, serial);
  }
  const clock = devices.addBoardDevice("clock", { model: ModelKind.cmos });
  devices.addPorts(clock, 0, microvm.RTC);
  const keyboard = devices.addBoardDevice("keyboard controller", { model: ModelKind.i8042 });
  devices.addPorts(keyboard, 0, microvm.KEYBOARD_CONTROLLER);
  const power = devices.addBoardDevice("power registers", { model: ModelKind.power });
  devices.addPorts(power, 0, { port: microvm.SLEEP_CONTROL_PORT, count: 1 });
  devices.addPorts(power, 1, { port: microvm.RESET_CONTROL_PORT, count: 1 });
  const debugPort = devices.addBoardDevice(DEBUG_PORT, { model: ModelKind.debugPort });
  devices.addPorts(debugPort, 0, { port: microvm.DEBUG_PORT, count: 1 });
}

function addVirtio(devices: DeviceBuilder, context: DeviceContext): DeviceDescription[] {
  const wanted = boardDevices(context.config.devices);
  const { slots, empty } = planSlots(
    wanted.map(({ id, driver }) => ({ id, deviceClass: deviceClassOf(driver) })),
  );
  const descriptions = wanted.map((config, index) => {
    const slot = slots[index];
    if (slot === undefined) throw new Error(`device '${config.id}' has no slot`);
    const kept: Resource[] = [];
    const keep = <T extends Resource>(resource: T): T => {
      kept.push(resource);
      return context.keep(resource);
    };
    const device = { ...openDevice(config, { ...context, keep }), gsi: slot.irq };
    const created = create(context.core, device);
    devices.named.set(config.id, created);
    devices.addSlot(created, slot);
    const occupant = occupantOf(config, context.config, kept);
    if (slot.place !== undefined && occupant !== undefined) {
      devices.hotSlots.push(hotSlot(slot.place, created, occupant));
    }
    return { config, device, slot };
  });
  if (context.config.machine.replaceable) {
    for (const slot of empty) addEmptySlot(devices, context.config, slot);
  }
  return descriptions;
}

function addEmptySlot(devices: DeviceBuilder, config: Config, slot: Slot): void {
  const { place, irq: gsi } = slot;
  if (place === undefined) return;
  const description =
    place.kind === "block" ? describeEmptyDisk() : describeEmptyCard(emptyMac(config, place));
  const device = devices.core.createDevice({ ...description, gsi });
  devices.named.set(nameOfEmpty(place), device);
  devices.addSlot(device, slot);
  devices.hotSlots.push(hotSlot(place, device, undefined));
}

function create(core: Core, device: OpenedDevice): DeviceId {
  try {
    return core.createDevice(device);
  } catch (error) {
    throw error instanceof CoreError ? (device.explain?.(error) ?? error) : error;
  }
}

function createVcpus(core: Core, config: Config, count: number): Topology {
  const { cores, threads, sockets, dies, clusters } = config.cpu;
  const topology: Topology = { threads, cores: cores * clusters, dies, sockets };
  for (let index = 0; index < count; index += 1) core.createVcpu(topology);
  return topology;
}
