// Registers by which a guest ends or resets the machine, and the debug port: each write says what
// it asks for (ACPI 6.5, section 4.8.3; guidebook 8).

import { expect, test } from "bun:test";
import { ModelKind, ParkReason } from "../../../src/core/abi.gen.ts";
import { BusMachine } from "../../support/bus_machine.ts";

const SLEEP_CONTROL = 0xce9;
const RESET_CONTROL = 0xcf9;
const KEYBOARD = 0x60;
const KEYBOARD_COMMAND = 0x64;
const DEBUG_PORT = 0x3ff;

function withPower(): BusMachine {
  const machine = new BusMachine();
  const power = machine.core.createDevice({ model: ModelKind.power });
  machine.addPorts(power, SLEEP_CONTROL, 1, 0);
  machine.addPorts(power, RESET_CONTROL, 1, 1);
  machine.addPorts(machine.core.createDevice({ model: ModelKind.i8042 }), KEYBOARD, 5);
  return machine;
}

const WRITES: [string, number, number, number][] = [
  ["sleep with the enable bit switches off", SLEEP_CONTROL, 0x34, ParkReason.powerOff],
  ["sleep of any type is off", SLEEP_CONTROL, 0x20, ParkReason.powerOff],
  ["a sleep type without the enable bit does nothing", SLEEP_CONTROL, 0x14, ParkReason.none],
  ["a hard reset resets", RESET_CONTROL, 0x06, ParkReason.reset],
  ["a full reset resets", RESET_CONTROL, 0x0e, ParkReason.reset],
  ["the value of the ACPI tables resets", RESET_CONTROL, 0x0f, ParkReason.reset],
  ["choosing the kind of reset does nothing", RESET_CONTROL, 0x02, ParkReason.none],
  ["pulsing the keyboard controller's line resets", KEYBOARD_COMMAND, 0xfe, ParkReason.reset],
  ["pulsing other lines does nothing", KEYBOARD_COMMAND, 0xfd, ParkReason.none],
  ["an unknown command does nothing", KEYBOARD_COMMAND, 0x12, ParkReason.none],
  ["data without a command does nothing", KEYBOARD, 0xfe, ParkReason.none],
  ["a port that nobody answers does nothing", 0x1234, 0xff, ParkReason.none],
];

test.each(WRITES)("%s", (_name, port, value, reason) => {
  using machine = withPower();
  expect(machine.writePort(port, value)).toBe(reason);
});

test("clearing the reset bit of the keyboard controller's output port resets", () => {
  using machine = withPower();
  expect(machine.writePort(KEYBOARD_COMMAND, 0xd1)).toBe(ParkReason.none);
  expect(machine.writePort(KEYBOARD, 0xdf)).toBe(ParkReason.none);
  expect(machine.writePort(KEYBOARD_COMMAND, 0xd1)).toBe(ParkReason.none);
  expect(machine.writePort(KEYBOARD, 0xfe)).toBe(ParkReason.reset);
});

test("the keyboard controller passes its self test and keeps its configuration", () => {
  using machine = withPower();
  machine.writePort(KEYBOARD_COMMAND, 0xaa);
  expect(machine.readPort(KEYBOARD_COMMAND) & 1).toBe(1);
  expect(machine.readPort(KEYBOARD)).toBe(0x55);
  expect(machine.readPort(KEYBOARD_COMMAND) & 1).toBe(0);
  machine.writePort(KEYBOARD_COMMAND, 0x60);
  machine.writePort(KEYBOARD, 0x43);
  machine.writePort(KEYBOARD_COMMAND, 0x20);
  expect(machine.readPort(KEYBOARD)).toBe(0x43);
});

test("the reset register reads back its kind, never the reset itself", () => {
  using machine = withPower();
  machine.writePort(RESET_CONTROL, 0x06);
  expect(machine.readPort(RESET_CONTROL)).toBe(0x02);
  expect(machine.readPort(SLEEP_CONTROL)).toBe(0);
});

test("ports that nobody answers read as ones, of each width", () => {
  using machine = withPower();
  const widths = [1, 2, 4].map((size) => machine.core.busRead(1, 0x1234, size));
  expect(widths).toEqual([0xffn, 0xffffn, 0xffff_ffffn]);
});

test("the debug port keeps the virtual time of the first of each mark", () => {
  using machine = new BusMachine();
  const { core } = machine;
  const port = core.createDevice({ model: ModelKind.debugPort });
  machine.addPorts(port, DEBUG_PORT, 1);
  expect(core.deviceMarks(port)).toEqual({ kernelEnteredNs: 0, bootCompleteNs: 0 });
  core.moveClock(1000);
  machine.writePort(DEBUG_PORT, 1);
  core.moveClock(2500);
  machine.writePort(DEBUG_PORT, 1);
  machine.writePort(DEBUG_PORT, 2);
  machine.writePort(DEBUG_PORT, 77);
  expect(core.deviceMarks(port)).toEqual({ kernelEnteredNs: 1000, bootCompleteNs: 2500 });
  expect(machine.readPort(DEBUG_PORT)).toBe(77);
});
