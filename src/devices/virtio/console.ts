// virtio-console: which ports a device has and who is behind each; zig/devices/virtio/console.zig
// moves the bytes.

import {
  CONSTANTS,
  ConsoleParamsLayout,
  ConsolePortParamsLayout,
  ModelKind,
} from "../../core/abi.gen.ts";
import type { NewDevice } from "../../core/core.ts";
import { encode, encodeArray } from "../../core/struct.ts";
import { UserError } from "../../errors.ts";
import type { DeviceConfig } from "../../options/config.ts";
import { isSerialPort, portLimit, type SerialPort } from "../../options/serial_ports.ts";
import type { DeviceContext } from "../context.ts";

export type SerialConfig = Extract<DeviceConfig, { driver: "virtio-serial-device" }>;

/** Describes the device with all ports of the machine. */
export function describeConsole(config: SerialConfig, context: DeviceContext): NewDevice {
  const { devices } = context.config;
  const ports = devices.filter(isSerialPort).map((port) => consolePort(port, context));
  // No iothread: the device runs where its character back ends do.
  return {
    model: ModelKind.virtioConsole,
    details: consoleDetails(portLimit(devices, config.maxPorts), ports),
  };
}

function consolePort(port: SerialPort, { chardevs }: DeviceContext): ConsolePort {
  const chardev = chardevs.get(port.chardev);
  if (chardev === undefined) throw new UserError(`Chardev '${port.chardev}' does not exist.`);
  const { nr: number, driver, name, id } = port;
  const kind = driver === "virtconsole" ? "console" : "generic";
  return { number, kind, name: name ?? id, chardev: chardev.index };
}

/** A port as the guest sees it, with the number of its character back end in the core. */
export interface ConsolePort {
  readonly number: number;
  readonly kind: "console" | "generic";
  readonly name: string;
  readonly chardev: number;
}

/** The encoded parameters of a device with room for `limit` ports. */
export function consoleDetails(limit: number, ports: readonly ConsolePort[]): Uint8Array {
  const bytes = new Uint8Array(ConsoleParamsLayout.fields.ports.length);
  bytes.set(encodeArray(ConsolePortParamsLayout, ports.map(portParams)));
  return encode(ConsoleParamsLayout, {
    portLimit: limit,
    portCount: ports.length,
    ports: bytes,
  });
}

function portParams({ number, kind, name, chardev }: ConsolePort) {
  const bytes = new Uint8Array(CONSTANTS.consoleNameSizeMax);
  const { written } = new TextEncoder().encodeInto(name, bytes);
  return {
    chardev,
    number,
    console: kind === "console" ? 1 : 0,
    nameSize: written,
    name: bytes,
  };
}
