// The serial port towards its guest: registers, interrupts, identity (PC16550D), and its input and
// output through a file.

import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { ModelKind } from "../../../src/core/abi.gen.ts";
import { BusMachine } from "../../support/bus_machine.ts";
import { SerialBench, UART } from "../../support/serial_bench.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";

const RECEIVE = 1;
const TRANSMIT = 2;
const FIFO_ENABLE = 1;
const FIFO_CLEAR_RECEIVE = 2;
const LOOPBACK = 0x10;
const IDENTITY = { none: 0x01, transmit: 0x02, receive: 0x04, timeout: 0x0c, fifo: 0xc0 } as const;

const text = Array.from({ length: 700 }, (_, index) => `line ${index}`.padEnd(15)).join("\n");

test("what the guest transmits is in the file, all of it, when the machine has ended", () => {
  using serial = new SerialBench("file");
  expect(serial.transmit(text)).toBe(text);
  serial.machine.core.destroy();
  expect(serial.output).toBe(text);
});

test("what the guest transmits is in the file soon, also while the machine runs on", async () => {
  using serial = new SerialBench("file");
  serial.transmit("hello\n");
  await until("the text", () => serial.output === "hello\n");
});

test("without a back end the port takes everything and has nothing", () => {
  using serial = new SerialBench("none");
  expect(serial.transmit(text.repeat(5)).length).toBe(5 * text.length);
  expect(serial.hasInput).toBe(false);
  expect(serial.read(UART.data)).toBe(0);
});

test("input of a file arrives in order, none of it lost, and raises interrupts", async () => {
  using serial = new SerialBench({ input: text });
  serial.write(UART.interruptEnable, RECEIVE);
  let received = "";
  await until("all input", () => {
    received += serial.receive();
    return received.length === text.length;
  });
  expect(received).toBe(text);
  expect(serial.interruptCount).toBeGreaterThan(0);
});

test("the identity names the FIFO once it is enabled, and the reason of an interrupt", async () => {
  using serial = new SerialBench({ input: "x" });
  await until("input", () => serial.hasInput);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.none);
  serial.write(UART.interruptEnable, RECEIVE);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.receive);
  serial.write(UART.fifoControl, FIFO_ENABLE);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.fifo | IDENTITY.timeout);
  serial.read(UART.data);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.fifo | IDENTITY.none);
  serial.write(UART.fifoControl, 0);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.none);
});

test("enabling the receive interrupt raises it for input that already waits", async () => {
  using serial = new SerialBench({ input: "x" });
  await until("input", () => serial.hasInput);
  expect(serial.interruptCount).toBe(0);
  serial.write(UART.interruptEnable, RECEIVE);
  expect(serial.interruptCount).toBe(1);
});

test("the transmit interrupt comes at once and after each byte, and reading clears it", () => {
  using serial = new SerialBench("none");
  serial.write(UART.interruptEnable, TRANSMIT);
  expect(serial.interruptCount).toBe(1);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.transmit);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.none);
  serial.write(UART.data, 0x41);
  expect(serial.interruptCount).toBe(2);
  expect(serial.read(UART.interruptIdentity)).toBe(IDENTITY.transmit);
});

test("the divisor hides data and interrupt enable while it is open", () => {
  using serial = new SerialBench("file");
  serial.write(UART.interruptEnable, RECEIVE);
  serial.write(UART.lineControl, 0x83);
  serial.write(UART.data, 0x0c);
  serial.write(UART.interruptEnable, 0x02);
  expect([serial.read(UART.data), serial.read(UART.interruptEnable)]).toEqual([0x0c, 0x02]);
  serial.write(UART.lineControl, 0x03);
  expect(serial.read(UART.interruptEnable)).toBe(RECEIVE);
  expect(serial.read(UART.lineControl)).toBe(0x03);
  serial.transmit("a");
  serial.machine.core.destroy();
  expect(serial.output).toBe("a");
});

test("loopback gives the guest its own bytes and modem lines, and the host none", () => {
  using serial = new SerialBench("file");
  serial.write(UART.modemControl, LOOPBACK | 0x0f);
  expect(serial.read(UART.modemStatus)).toBe(0xf0);
  serial.write(UART.modemControl, LOOPBACK);
  expect(serial.read(UART.modemStatus)).toBe(0);
  serial.transmit("echo");
  expect(serial.receive()).toBe("echo");
  serial.write(UART.modemControl, 0x0b);
  expect(serial.read(UART.modemControl)).toBe(0x0b);
  serial.machine.core.destroy();
  expect(serial.output).toBe("");
});

test("clearing the receive FIFO drops what waits", async () => {
  using serial = new SerialBench({ input: "old" });
  await until("input", () => serial.hasInput);
  serial.write(UART.fifoControl, FIFO_ENABLE | FIFO_CLEAR_RECEIVE);
  expect(serial.hasInput).toBe(false);
});

test("accesses of more than one byte reach the first register alone", () => {
  using serial = new SerialBench("file");
  serial.machine.core.busWrite(1, 0x3f8, 4, 0x6867_6665n);
  serial.machine.core.destroy();
  expect(serial.output).toBe("e");
});

test("input that came before the port was there has waited for it", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("fifo");
  execFileSync("mkfifo", [path]);
  for (let round = 0; round < 50; round += 1) {
    using machine = new BusMachine();
    const inputFd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    machine.onClose(() => closeSync(inputFd));
    writeSync(inputFd, "x");
    const { core } = machine;
    const chardev = core.createChardev({ inputFd, outputFd: -1, listenFd: -1, escape: 0 });
    await new Promise(setImmediate);
    const device = core.createDevice({ model: ModelKind.serial, gsi: 4, chardev });
    machine.addPorts(device, 0x3f8, 7);
    await until("the input", () => (machine.readPort(0x3f8 + UART.lineStatus) & 1) === 1);
    expect(machine.readPort(0x3f8)).toBe("x".charCodeAt(0));
  }
});
