// virtio-console: how ports are announced, and bytes that go both ways without loss (virtio 1.2,
// section 5.3), whoever is slow, absent, or comes and goes.

import { expect, test } from "bun:test";
import {
  CONSOLE_EVENT,
  CONSOLE_QUEUE,
  ConsoleBench,
  MULTIPORT,
  receiveQueue,
  transmitQueue,
} from "../../support/console_bench.ts";
import { SocketClient } from "../../support/socket_client.ts";
import { until } from "../../support/until.ts";

const CONSOLE = { number: 0, kind: "console", name: "con" } as const;
const GENERIC = { number: 1, kind: "generic", name: "org.example.port" } as const;
/** What the host keeps for a reader that is slow or absent (zig/limits.zig). */
const BUFFER_SIZE = 16 * 1024;
/** Input that the host keeps for a guest that takes none (zig/limits.zig). */
const HELD_SIZE = 2 * 1024;

const lines = Array.from({ length: 8192 }, (_, index) => `line ${index}`.padEnd(15)).join("\n");
const bytesOf = (text: string) => new TextEncoder().encode(text);

test("the guest is told of each port, and of what it is once it has taken it", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.start();
  await bench.tell(0, CONSOLE_EVENT.deviceReady, 1);
  expect(await bench.takeMessages(2)).toEqual([
    { port: 0, event: CONSOLE_EVENT.deviceAdd, value: 0, text: "" },
    { port: 1, event: CONSOLE_EVENT.deviceAdd, value: 0, text: "" },
  ]);
  expect(await bench.openPort(0, 3)).toEqual([
    { port: 0, event: CONSOLE_EVENT.consolePort, value: 1, text: "" },
    { port: 0, event: CONSOLE_EVENT.portName, value: 1, text: "con\0" },
    { port: 0, event: CONSOLE_EVENT.portOpen, value: 1, text: "" },
  ]);
  expect(await bench.openPort(1, 1)).toEqual([
    { port: 1, event: CONSOLE_EVENT.portName, value: 1, text: "org.example.port\0" },
  ]);
});

test("a guest that is slow to give buffers hears everything in the end", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.driver.start({ features: MULTIPORT, queueCount: 6 });
  await bench.tell(0, CONSOLE_EVENT.deviceReady, 1);
  bench.offerControlBuffers(1);
  const [first] = await bench.takeMessages(1);
  const [second] = await bench.takeMessages(1);
  expect([first?.port, second?.port]).toEqual([0, 1]);
});

test("a generic port says who comes and goes; a console is always there", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.start();
  await bench.openPort(0, 3);
  await bench.openPort(1, 1);
  const console = await SocketClient.connect(bench.socketPath(0));
  const client = await SocketClient.connect(bench.socketPath(1));
  const opened = { port: 1, event: CONSOLE_EVENT.portOpen, value: 1, text: "" };
  expect(await bench.takeMessages(1)).toEqual([opened]);
  await client.close();
  expect(await bench.takeMessages(1)).toEqual([{ ...opened, value: 0 }]);
  await console.close();
});

test("bytes go both ways on each port by itself", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.start();
  await bench.openPort(0, 3);
  await bench.openPort(1, 1);
  const clients = await Promise.all(
    [0, 1].map((port) => SocketClient.connect(bench.socketPath(port))),
  );
  bench.send(0, bytesOf("to the console"));
  bench.send(1, bytesOf("to the port"));
  await clients[0]?.untilReceived("to the console");
  await clients[1]?.untilReceived("to the port");
  clients[0]?.send("from the console");
  clients[1]?.send("from the port");
  expect(await bench.receive(0, 64)).toBe("from the console");
  expect(await bench.receive(1, 64)).toBe("from the port");
});

test("port 0 works for a driver without control messages", async () => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.start(0n);
  const client = await SocketClient.connect(bench.socketPath(0));
  bench.send(0, bytesOf("out"));
  await client.untilReceived("out");
  client.send("in");
  expect(await bench.receive(0, 8)).toBe("in");
});

test("a client that reads slowly gets every byte, and the guest waits for it", async () => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.start();
  await bench.openPort(0, 3);
  const client = await SocketClient.connect(bench.socketPath(0));
  bench.send(0, bytesOf("first"));
  await client.untilReceived("first");
  client.pause();
  const parts = Array.from({ length: 64 }, (_, index) => `${index}:${lines.slice(0, 16 * 1024)}`);
  for (const part of parts) bench.send(0, bytesOf(part));
  await until("output that waits", () => bench.driver.queue(1).usedIndex() > 2);
  expect(bench.driver.queue(transmitQueue(0)).usedIndex()).toBeLessThan(parts.length);
  client.resume();
  await client.untilReceived(`first${parts.join("")}`);
});

test("while nobody is there the guest runs on, and the newest output that fits waits", async () => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.start();
  await bench.openPort(0, 3);
  const part = BUFFER_SIZE / 4;
  for (let index = 0; index < 12; index += 1) {
    bench.send(0, bytesOf(lines.slice(index * part, (index + 1) * part)));
    await bench.driver.takeUsed(transmitQueue(0), 1);
  }
  const client = await SocketClient.connect(bench.socketPath(0));
  await client.untilReceived(lines.slice(8 * part, 12 * part));
});

test("input waits for a guest without buffers, and for one with a closed port", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.start();
  const client = await SocketClient.connect(bench.socketPath(1));
  client.send(lines.slice(0, 3 * HELD_SIZE));
  const buffer = bench.machine.ram.allocate(64);
  bench.driver.offer(receiveQueue(1), [{ ...buffer, writable: true }]);
  await bench.openPort(1, 2);
  const [used] = await bench.driver.takeUsed(receiveQueue(1), 1);
  expect(used?.length).toBe(64);
  let received = new TextDecoder().decode(bench.machine.ram.read(buffer));
  while (received.length < 3 * HELD_SIZE) received += await bench.receive(1, 1000);
  expect(received).toBe(lines.slice(0, 3 * HELD_SIZE));
});

test("a driver that comes after a reset begins anew, and input of before is kept", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.start();
  await bench.openPort(1, 1);
  const client = await SocketClient.connect(bench.socketPath(1));
  await bench.takeMessages(1);
  bench.driver.transport.writeStatus(0);
  client.send("kept");
  bench.start();
  await bench.tell(0, CONSOLE_EVENT.deviceReady, 1);
  expect((await bench.takeMessages(2)).map(({ event }) => event)).toEqual([1, 1]);
  expect((await bench.openPort(1, 2)).map(({ event, value }) => [event, value])).toEqual([
    [CONSOLE_EVENT.portName, 1],
    [CONSOLE_EVENT.portOpen, 1],
  ]);
  expect(await bench.receive(1, 16)).toBe("kept");
});

test.each([
  ["an unknown event", 0, 99],
  ["an unknown port", 77, CONSOLE_EVENT.portOpen],
  ["a port that is far away", 0xffff_ffff, CONSOLE_EVENT.portReady],
])("a message with %s is read and ignored", async (_, port, event) => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.start();
  await bench.tell(port, event, 1);
  await bench.tell(0, CONSOLE_EVENT.deviceReady, 1);
  expect(await bench.takeMessages(1)).toHaveLength(1);
  expect(bench.driver.needsReset).toBe(false);
});

test("a message that is cut off is ignored", async () => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.start();
  const short = { ...bench.machine.ram.place(new Uint8Array(7).fill(1)), writable: false };
  await bench.driver.run(CONSOLE_QUEUE.controlTransmit, [short]);
  expect(bench.driver.needsReset).toBe(false);
});

test("a buffer that is too small for a message asks for a reset", async () => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.driver.start({ features: MULTIPORT, queueCount: 4 });
  const small = { ...bench.machine.ram.allocate(4), writable: true };
  bench.driver.offer(CONSOLE_QUEUE.controlReceive, [small]);
  await bench.tell(0, CONSOLE_EVENT.deviceReady, 1);
  await until("the device's complaint", () => bench.driver.needsReset);
});

test("hundreds of messages each way wake the event loop never", async () => {
  using bench = new ConsoleBench([CONSOLE, GENERIC]);
  bench.start();
  await bench.openPort(1, 1);
  const client = await SocketClient.connect(bench.socketPath(1));
  let sent = "";
  const exchange = async (round: number): Promise<void> => {
    sent += `sent ${round};`;
    bench.send(1, bytesOf(`sent ${round};`));
    await bench.driver.takeUsed(transmitQueue(1), 1);
    await client.untilReceived(sent);
    client.send(`answer ${round};`);
    expect(await bench.receive(1, 64)).toBe(`answer ${round};`);
  };
  await exchange(0);
  // That the client has come may have been told.
  const { ringCount } = bench.machine.core.takeNews();
  for (let round = 1; round < 200; round += 1) await exchange(round);
  expect(bench.machine.core.takeNews()).toEqual({ bits: 0, ringCount });
});

test("a thousand clients come and go, and the port serves the next", async () => {
  using bench = new ConsoleBench([CONSOLE]);
  bench.start();
  await bench.openPort(0, 3);
  for (let round = 0; round < 1000; round += 1) {
    const client = await SocketClient.connect(bench.socketPath(0));
    bench.send(0, bytesOf(`${round}`));
    await bench.driver.takeUsed(transmitQueue(0), 1);
    await client.untilReceived(`${round}`);
    await client.close();
  }
});
