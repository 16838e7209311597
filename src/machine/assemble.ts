// From a configuration to a machine that can run: memory, interrupt chips, devices, address map,
// boot, vCPUs. A page, top to bottom; the board's data say where things are.

import { closeSync } from "node:fs";
import { type Chardev, openChardev } from "../backends/chardev.ts";
import { openKvm } from "../backends/kvm.ts";
import { ModelKind, Space } from "../core/abi.gen.ts";
import { Core, type DeviceId, type Topology, type Window } from "../core/core.ts";
import { CoreError } from "../core/error.ts";
import { takeEarlyVm } from "../core/static_program.ts";
import type { DeviceContext, OpenedDevice } from "../devices/context.ts";
import { deviceClassOf, openDevice } from "../devices/registry.ts";
import { removeOwnFile } from "../files.ts";
import { type AddressRange, ramRanges } from "../firmware/e820.ts";
import type { Config } from "../options/config.ts";
import { boardDevices } from "../options/serial_ports.ts";
import * as microvm from "./boards/microvm.ts";
import { loadKernel } from "./boot.ts";
import { addGuestMemory } from "./memory.ts";
import { Resources } from "./resources.ts";
import { planSlots, type Slot } from "./slot_plan.ts";

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
  /** The address map. */
  readonly windows: readonly Window[];
  /** Devices of the user by their ids. */
  readonly devices: ReadonlyMap<string, DeviceId>;
  /** Interrupt lines with the device behind each, for tests. */
  readonly lines: ReadonlyMap<number, DeviceId>;
}

export function assemble(config: Config): Assembly {
  const resources = new Resources();
  try {
    return BUILDERS[config.machine.type](config, resources);
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
    windows: [],
    devices: new Map(),
    lines: new Map(),
  };
}

function buildMicrovm(config: Config, resources: Resources): Assembly {
  const core = openCore(config, resources);
  const ram = ramRanges(microvm.memoryLayout(config.memory.sizeBytes));
  addGuestMemory(core, config, { ranges: ram, resources });
  core.createInterruptChips();
  if (config.machine.pit) core.createPit();
  const iothreads = new Map(config.iothreads.map(({ id }) => [id, core.createThread(id)]));
  const chardevs = openChardevs(core, config, resources);
  const devices = new DeviceBuilder(core);
  const debugPort = addPlatform(devices, config, chardevs);
  const slots = addVirtio(devices, {
    core,
    config,
    chardevs,
    iothreads,
    keep: (resource) => resources.add(resource),
  });
  core.publishMap(devices.windows);
  const vcpuCount = config.machine.accel === "kvm" ? startVcpus(core, config, slots) : 0;
  const { lines, named, windows } = devices;
  const counts = { vcpuCount, debugPort, ram, windows, devices: named, lines };
  return { core, resources, chardevs, iothreads, ...counts };
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
  readonly named = new Map<string, DeviceId>();

  constructor(core: Core) {
    this.core = core;
  }

  addPorts(device: DeviceId, region: number, range: { port: number; count: number }): void {
    const { port: base, count: size } = range;
    this.windows.push({ base, size, space: Space.pio, device, region });
  }

  addSlot(device: DeviceId, slot: Slot): void {
    const window = { base: slot.address, size: slot.size, space: Space.mmio, device, region: 0 };
    this.windows.push(window);
    this.lines.set(slot.irq, device);
  }
}

function addPlatform(
  devices: DeviceBuilder,
  config: Config,
  chardevs: ReadonlyMap<string, Chardev>,
): DeviceId {
  const { core } = devices;
  if (config.serial !== undefined) {
    const chardev = chardevs.get(config.serial.chardev)?.index;
    const gsi = microvm.SERIAL.irq;
    const description = { model: ModelKind.serial, gsi };
    const serial = core.createDevice(
      chardev === undefined ? description : { ...description, chardev },
    );
    const { port } = microvm.SERIAL;
    devices.addPorts(serial, 0, { port, count: microvm.DEBUG_PORT - port });
    devices.lines.set(gsi, serial);
  }
  devices.addPorts(core.createDevice({ model: ModelKind.cmos }), 0, microvm.RTC);
  devices.addPorts(core.createDevice({ model: ModelKind.i8042 }), 0, microvm.KEYBOARD_CONTROLLER);
  const power = core.createDevice({ model: ModelKind.power });
  devices.addPorts(power, 0, { port: microvm.SLEEP_CONTROL_PORT, count: 1 });
  devices.addPorts(power, 1, { port: microvm.RESET_CONTROL_PORT, count: 1 });
  const debugPort = core.createDevice({ model: ModelKind.debugPort });
  devices.addPorts(debugPort, 0, { port: microvm.DEBUG_PORT, count: 1 });
  return debugPort;
}

function addVirtio(devices: DeviceBuilder, context: DeviceContext): Slot[] {
  const wanted = boardDevices(context.config.devices);
  const slots = planSlots(
    wanted.map(({ id, driver }) => ({ id, deviceClass: deviceClassOf(driver) })),
  );
  wanted.forEach((device, index) => {
    const slot = slots[index];
    if (slot === undefined) throw new Error(`device '${device.id}' has no slot`);
    const created = create(context.core, { ...openDevice(device, context), gsi: slot.irq });
    devices.named.set(device.id, created);
    devices.addSlot(created, slot);
  });
  return slots;
}

function create(core: Core, device: OpenedDevice): DeviceId {
  try {
    return core.createDevice(device);
  } catch (error) {
    throw error instanceof CoreError ? (device.explain?.(error) ?? error) : error;
  }
}

function startVcpus(core: Core, config: Config, slots: readonly Slot[]): number {
  const { cores, threads, sockets, dies, clusters } = config.cpu;
  const topology: Topology = { threads, cores: cores * clusters, dies, sockets };
  for (let index = 0; index < config.cpu.count; index += 1) core.createVcpu(topology);
  core.setEntry(loadKernel(core, { config, topology, slots }));
  core.startVcpus();
  return config.cpu.count;
}
