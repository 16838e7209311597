// Whether a template fits a command line: the guest finds its machine again, or one sentence says
// what differs and what would be right. What is the host's alone, such as files, may differ.

import { UserError } from "../../errors.ts";
import type { Config } from "../../options/config.ts";
import { boardDevices } from "../../options/serial_ports.ts";
import { formatSize } from "../../options/values.ts";
import type { Manifest, SavedDevice } from "./manifest.ts";

/** What a machine is made of before its devices are opened. */
export type Board = Pick<Manifest, "machine" | "cpu"> & {
  readonly memory: Pick<Manifest["memory"], "size">;
  readonly devices: readonly Pick<SavedDevice, "id" | "driver">[];
};

/** A template's manifest with its folder, for sentences. */
export interface Origin {
  readonly folder: string;
  readonly manifest: Manifest;
}

export type Host = Manifest["host"];

export function boardOf({ machine, cpu, memory, devices, serial }: Config): Board {
  return {
    machine: {
      type: machine.type,
      accel: machine.accel,
      pit: machine.pit,
      serial: serial !== undefined,
      replaceable: machine.replaceable,
    },
    cpu: { count: cpu.count },
    memory: { size: memory.sizeBytes },
    devices: boardDevices(devices).map(({ id, driver }) => ({ id, driver })),
  };
}

/** Throws a UserError for a host on which the saved processors do not run. */
export function checkHost({ folder, manifest }: Origin, host: Host): void {
  const saved = manifest.host;
  const who = `The template '${folder}' was saved`;
  if (saved.arch !== host.arch) {
    throw new UserError(`${who} on ${saved.arch}, but this host is ${host.arch}.`);
  }
  if (saved.kvmApi > host.kvmApi) {
    const versions = `version ${saved.kvmApi} of KVM's API, but this host has ${host.kvmApi}`;
    throw new UserError(`${who} with ${versions}.`);
  }
  if (saved.cpuVendor !== host.cpuVendor) {
    const makers = `${saved.cpuVendor}, but this host has one of ${host.cpuVendor}`;
    throw new UserError(`${who} on a processor of ${makers}; restore it on one of the same maker.`);
  }
}

/** Throws a UserError for the first thing that is other than it was saved. */
export function checkBoard(origin: Origin, board: Board): void {
  const { manifest, folder } = origin;
  const has = `The template '${folder}' has`;
  const saved = manifest.machine;
  if (saved.type !== board.machine.type) {
    const types = `the machine ${saved.type}, not ${board.machine.type}`;
    throw new UserError(`${has} ${types}; use -machine ${saved.type}.`);
  }
  if (saved.accel !== board.machine.accel) {
    const accelerators = `accel=${saved.accel}, not ${board.machine.accel}`;
    throw new UserError(`${has} ${accelerators}; use -machine accel=${saved.accel}.`);
  }
  if (saved.pit !== board.machine.pit) {
    const [found, fix] = saved.pit ? ["a timer (PIT)", "on"] : ["no timer (PIT)", "off"];
    throw new UserError(`${has} ${found}; use -machine pit=${fix}.`);
  }
  if (saved.serial !== board.machine.serial) {
    const [found, fix] = saved.serial ? ["a", "add -serial"] : ["no", "leave -serial out"];
    throw new UserError(`${has} ${found} serial port; ${fix}.`);
  }
  if (saved.replaceable !== board.machine.replaceable) {
    const [found, fix] = saved.replaceable ? ["empty", "on"] : ["no empty", "off"];
    throw new UserError(`${has} ${found} slots; use -machine replaceable=${fix}.`);
  }
  if (manifest.cpu.count !== board.cpu.count) {
    const { count } = manifest.cpu;
    const found = count === 1 ? "one vCPU" : `${count} vCPUs`;
    throw new UserError(`${has} ${found}, not ${board.cpu.count}; use -smp ${count}.`);
  }
  if (manifest.memory.size !== board.memory.size) {
    const [size, given] = [manifest.memory.size, board.memory.size].map(formatSize);
    throw new UserError(`${has} ${size} of memory, not ${given}; use -m ${size}.`);
  }
  checkDrivers(origin, board.devices);
}

function checkDrivers({ folder, manifest }: Origin, devices: Board["devices"]): void {
  for (const { id, driver } of manifest.devices) {
    const given = devices.find((device) => device.id === id);
    if (given === undefined) {
      const what = `the device '${id}' (${driver})`;
      throw new UserError(`The template '${folder}' has ${what}; add -device ${driver},id=${id}.`);
    }
    if (given.driver !== driver) {
      const drivers = `of the driver ${given.driver}, but in the template '${folder}' of ${driver}`;
      throw new UserError(`The device '${id}' is ${drivers}; use that one.`);
    }
  }
  const known = manifest.devices.map(({ id }) => id);
  const extra = devices.find(({ id }) => !known.includes(id));
  if (extra === undefined) return;
  const list = known.length === 0 ? "has none" : `has ${listOf(known)}`;
  throw new UserError(
    `The device '${extra.id}' is not in the template '${folder}', which ${list}; leave it out.`,
  );
}

/** Throws a UserError for a device that its guest would not know again. */
export function checkDevices({ folder, manifest }: Origin, devices: readonly SavedDevice[]): void {
  for (const saved of manifest.devices) {
    const given = devices.find(({ id }) => id === saved.id);
    if (given?.address !== saved.address || given.irq !== saved.irq) {
      const order = listOf(manifest.devices.map(({ id }) => id));
      throw new UserError(
        `The device '${saved.id}' lies elsewhere than in the template '${folder}'; ` +
          `give the devices in its order: ${order}.`,
      );
    }
    for (const [key, value] of Object.entries(saved.settings)) {
      const own = given.settings[key];
      if (own === value) continue;
      throw new UserError(
        `The device '${saved.id}' has ${key}=${wordOf(own)}, but ${key}=${wordOf(value)} in the ` +
          `template '${folder}'; make it the same.`,
      );
    }
  }
}

function wordOf(value: string | number | boolean | undefined): string {
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value ?? "nothing");
}

function listOf(ids: readonly string[]): string {
  return ids.map((id) => `'${id}'`).join(", ");
}
