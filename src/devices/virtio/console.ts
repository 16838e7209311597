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
  const ports = devices.filter(isSerialPort).map((port) => portParams(port, context));
  const bytes = new Uint8Array(ConsoleParamsLayout.fields.ports.length);
  bytes.set(encodeArray(ConsolePortParamsLayout, ports));
  const details = encode(ConsoleParamsLayout, {
    portLimit: portLimit(devices, config.maxPorts),
    portCount: ports.length,
    ports: bytes,
  });
  // No iothread: the device runs where its character back ends do.
  return { model: ModelKind.virtioConsole, details };
}

function portParams(port: SerialPort, { chardevs }: DeviceContext) {
  const chardev = chardevs.get(port.chardev);
  if (chardev === undefined) throw new UserError(`Chardev '${port.chardev}' does not exist.`);
  const name = new Uint8Array(CONSTANTS.consoleNameSizeMax);
  const { written } = new TextEncoder().encodeInto(port.name ?? port.id, name);
  return {
    chardev: chardev.index,
    number: port.nr,
    console: port.driver === "virtconsole" ? 1 : 0,
    nameSize: written,
    name,
  };
}
