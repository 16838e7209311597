// A serial port with clients that read slowly, send much, and come and go: what fits is never lost
// (guidebook 3.2), and nobody spins.

import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { SerialBench, UART } from "../../support/serial_bench.ts";
import { SocketClient } from "../../support/socket_client.ts";
import { until } from "../../support/until.ts";

const TRANSMIT = 2;
/** What the host keeps for a reader that is slow or absent (zig/limits.zig). */
const BUFFER_SIZE = 16 * 1024;

const text = Array.from({ length: 4096 }, (_, index) => `line ${index}`.padEnd(15)).join("\n");

/** Connects, and waits until the port has taken the client. */
async function connect(serial: SerialBench): Promise<SocketClient> {
  const client = await SocketClient.connect(serial.socketPath);
  await until("the port's end of the client", () => acceptedCount(serial) === 1);
  return client;
}

/** Sockets of this machine that are connected to a client (proc(5), /proc/net/unix). */
function acceptedCount(serial: SerialBench): number {
  const connected = ` 03 `;
  const rows = readFileSync("/proc/net/unix", "latin1").split("\n");
  return rows.filter((row) => row.endsWith(` ${serial.socketPath}`) && row.includes(connected))
    .length;
}

async function leave(serial: SerialBench, client: SocketClient): Promise<void> {
  await client.close();
  await until("the port's notice", () => acceptedCount(serial) === 0);
}

async function receive(serial: SerialBench, expected: string): Promise<void> {
  let received = "";
  await until("input", () => {
    received += serial.receive();
    return received.length >= expected.length;
  });
  expect(received).toBe(expected);
}

test("a client talks with the guest", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  serial.transmit("login: ");
  await client.untilReceived("login: ");
  client.send("root\n");
  await receive(serial, "root\n");
  await client.close();
});

test("what a client and the guest say wakes the event loop never", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  serial.transmit(text.slice(0, 16));
  await client.untilReceived(text.slice(0, 16));
  // That the client has come may have been told.
  const { ringCount } = serial.machine.core.takeNews();
  serial.transmit(text.slice(16, BUFFER_SIZE));
  await client.untilReceived(text.slice(0, BUFFER_SIZE));
  client.send(text.slice(0, BUFFER_SIZE));
  await receive(serial, text.slice(0, BUFFER_SIZE));
  expect(serial.machine.core.takeNews()).toEqual({ bits: 0, ringCount });
});

test("of what is sent while nobody is there, the newest that fits waits", async () => {
  using serial = new SerialBench("socket");
  const sent = serial.transmit(text.slice(0, 3 * BUFFER_SIZE));
  expect(sent.length).toBe(3 * BUFFER_SIZE);
  const client = await connect(serial);
  await client.untilReceived(sent.slice(-BUFFER_SIZE));
  await client.close();
});

test("a slow reader loses nothing; the guest is told to wait, and to go on", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  client.pause();
  let sent = "";
  await until("a full port", () => {
    sent += serial.transmit(text.slice(0, 1024));
    return !serial.canTransmit;
  });
  serial.write(UART.interruptEnable, TRANSMIT);
  const interrupts = serial.interruptCount;
  client.resume();
  await until("the transmit interrupt", () => serial.interruptCount > interrupts);
  await client.untilReceived(sent);
  expect(serial.canTransmit).toBe(true);
  await client.close();
});

test("a reader that leaves a full port lets the guest go on", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  client.pause();
  await until("a full port", () => {
    serial.transmit(text.slice(0, 1024));
    return !serial.canTransmit;
  });
  serial.write(UART.interruptEnable, TRANSMIT);
  const interrupts = serial.interruptCount;
  client.terminate();
  await until("the transmit interrupt", () => serial.interruptCount > interrupts);
  expect(serial.canTransmit).toBe(true);
});

test("clients come and go, and each gets what was sent while nobody was there", async () => {
  using serial = new SerialBench("socket");
  for (let round = 0; round < 20; round += 1) {
    serial.transmit(`before ${round};`);
    const client = await connect(serial);
    await client.untilReceived(`before ${round};`);
    serial.transmit(`while ${round};`);
    await client.untilReceived(`before ${round};while ${round};`);
    await leave(serial, client);
  }
});

test("what is sent to a client that has just left waits for the next one", async () => {
  using serial = new SerialBench("socket");
  for (let round = 0; round < 20; round += 1) {
    const first = await connect(serial);
    await first.close();
    serial.transmit("still here");
    await until("the port's notice", () => acceptedCount(serial) === 0);
    const second = await connect(serial);
    await second.untilReceived("still here");
    await leave(serial, second);
  }
});

test("a second client is turned away while the first is there", async () => {
  using serial = new SerialBench("socket");
  const first = await connect(serial);
  const second = await SocketClient.connect(serial.socketPath).catch(() => undefined);
  await until("the second one's end", () => second?.isClosed ?? true);
  serial.transmit("for the first");
  await first.untilReceived("for the first");
  await first.close();
});

test("a client that sends more than the guest takes is held back and loses nothing", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  const sent = text.slice(0, 5000);
  client.send(sent);
  await until("input", () => serial.hasInput);
  await receive(serial, sent);
  await client.close();
});

test("what a client sent before it left reaches the guest", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  const sent = text.slice(0, 5000);
  client.send(sent);
  await until("input", () => serial.hasInput);
  await client.close();
  await receive(serial, sent);
});

test("a client that left with its input waiting makes room for the next one", async () => {
  using serial = new SerialBench("socket");
  const first = await connect(serial);
  first.send(text.slice(0, 5000));
  await until("input", () => serial.hasInput);
  await first.close();
  const second = await SocketClient.connect(serial.socketPath);
  serial.transmit("welcome");
  await second.untilReceived("welcome");
  await second.close();
});

test("input that the guest does not take costs no processor time", async () => {
  using serial = new SerialBench("socket");
  const client = await connect(serial);
  client.pause();
  client.send(text.slice(0, 5000));
  await until("a full port", () => {
    serial.transmit(text);
    return !serial.canTransmit;
  });
  const idle = await serial.idleShare();
  await client.close();
  const idleAfterwards = await serial.idleShare();
  expect(idle).toBeGreaterThan(0.8);
  expect(idleAfterwards).toBeGreaterThan(0.8);
});

test("a pseudo terminal serves one reader after the other", async () => {
  using serial = new SerialBench("pty");
  for (let round = 0; round < 3; round += 1) {
    serial.transmit(`hello ${round}\n`);
    const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
    const terminal = openSync(serial.ptyPath, flags);
    let seen = "";
    await until("the terminal's text", () => {
      seen += readAvailable(terminal);
      return seen === `hello ${round}\n`;
    });
    writeSync(terminal, "answer\n");
    await receive(serial, "answer\n");
    closeSync(terminal);
  }
});

function readAvailable(fd: number): string {
  const buffer = new Uint8Array(256);
  try {
    return new TextDecoder().decode(buffer.subarray(0, readSync(fd, buffer)));
  } catch {
    return "";
  }
}
