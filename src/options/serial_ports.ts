// Consoles and generic ports of a virtio-serial device: which number each has, and what does not
// fit together (behaviour 4.8). The guidebook's example gives a generic port the number 0.

import { UserError } from "../errors.ts";
import type { DeviceConfig } from "./config.ts";

const controllerDriver = "virtio-serial-device";

export type SerialPort = Extract<DeviceConfig, { driver: "virtconsole" | "virtserialport" }>;

/** Devices that take a place of their own on the board; ports are behind their controller. */
export type BoardDevice = Exclude<DeviceConfig, SerialPort>;

export function boardDevices(devices: readonly DeviceConfig[]): BoardDevice[] {
  return devices.filter((device) => !isSerialPort(device));
}

export function isSerialPort(device: DeviceConfig): device is SerialPort {
  return device.driver === "virtconsole" || device.driver === "virtserialport";
}

/** A port that may have no number yet. */
interface Numbered {
  readonly driver: string;
  readonly nr: number | undefined;
}

/** The number of the next port that gives none: 0 for the first console, else above all others. */
export function nextPortNumber(driver: Numbered["driver"], taken: readonly number[]): number {
  if (driver === "virtconsole" && !taken.includes(0)) return 0;
  return Math.max(0, ...taken) + 1;
}

/** How many ports the guest is told of. */
export function portLimit(devices: readonly DeviceConfig[], maxPorts: number | undefined): number {
  const numbers = devices.filter(isSerialPort).map(({ nr }) => nr);
  return maxPorts ?? Math.max(0, ...numbers) + 1;
}

/** Throws a UserError for the first thing of the ports that does not fit together. */
export function checkSerialPorts(devices: readonly DeviceConfig[]): void {
  const [controller, second] = devices.filter(({ driver }) => driver === controllerDriver);
  if (controller !== undefined && second !== undefined) {
    const both = `'${controller.id}' and '${second.id}'`;
    throw new UserError(
      `The devices ${both} are both ${controllerDriver}; a machine has one at most.`,
    );
  }
  const byNumber = new Map<number, string>();
  for (const { id, nr } of devices.filter(isSerialPort)) {
    if (controller?.driver !== controllerDriver) {
      throw new UserError(`The port '${id}' needs a '-device ${controllerDriver}' beside it.`);
    }
    const limit = controller.maxPorts ?? PORT_COUNT_MAX;
    if (nr >= limit) {
      const room = `has room for the numbers 0 to ${limit - 1}`;
      throw new UserError(`The port '${id}' has nr=${nr}, but '${controller.id}' ${room}.`);
    }
    const other = byNumber.get(nr);
    if (other !== undefined) {
      throw new UserError(
        `The ports '${other}' and '${id}' both have nr=${nr}; give each its own.`,
      );
    }
    byNumber.set(nr, id);
  }
}

/** VIRTIO 1.2, 5.3.2: two queues a port beside the two of the control messages, 64 in all. */
const PORT_COUNT_MAX = 31;
