// Where a serial port's bytes go: tcp, a connection that the machine makes, a pseudo terminal
// whose reader comes late or leaves, a device that is full.

import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { runCommand } from "../../../scripts/lib/command.ts";
import { processFacts } from "../../support/process_facts.ts";
import { SerialBench } from "../../support/serial_bench.ts";
import { SocketClient } from "../../support/socket_client.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";

const ENOSPC = 28;
/** What the host keeps for a reader that is slow or absent (zig/limits.zig). */
const BUFFER_SIZE = 16 * 1024;
const FLOOD = Array.from({ length: 2048 }, (_, line) => `line ${line}`.padEnd(15)).join("\n");

function freePort(hostname: string): number {
  const listener = Bun.listen({ hostname, port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

async function receive(serial: SerialBench, expected: string): Promise<void> {
  let received = "";
  await until(`'${expected}'`, () => {
    received += serial.receive();
    return received.length >= expected.length;
  });
  expect(received).toBe(expected);
}

test.each([
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "::1"],
  ["[::1]", "::1"],
  ["localhost", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
])("clients of tcp at %s come and go, and lose nothing", async (host, hostname) => {
  const port = freePort(hostname);
  using serial = new SerialBench({ host, port });
  for (let round = 0; round < 3; round += 1) {
    serial.transmit(`before ${round};`);
    const client = await SocketClient.connect({ hostname, port });
    await client.untilReceived(`before ${round};`);
    client.send("answer");
    await receive(serial, "answer");
    await client.close();
    await until("the port's notice", () => serial.news.clientCount === round + 1);
  }
});

test("a port that connects talks with who listens, and outlives it", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("listener.sock");
  let heard = "";
  const server = Bun.listen({
    unix: path,
    socket: {
      data(socket, chunk) {
        heard += chunk.toString();
        socket.write("hello guest");
      },
    },
  });
  using serial = new SerialBench({ connectTo: path });
  serial.transmit("hello host");
  await receive(serial, "hello guest");
  await until("what the guest said", () => heard === "hello host");
  server.stop(true);
  await until("a port that takes everything", () => serial.transmit(FLOOD) === FLOOD);
});

test("a connection to nobody is refused with a sentence", () => {
  using folder = new TemporaryFolder();
  const path = folder.file("nobody.sock");
  expect(() => new SerialBench({ connectTo: path })).toThrow(
    `Chardev 'c' cannot connect to '${path}' (ENOENT); choose another place, ` +
      "or listen with server,nowait.",
  );
});

test("a pseudo terminal that nobody has opened takes everything, and its end waits", async () => {
  using serial = new SerialBench("pty");
  expect(serial.transmit(FLOOD)).toBe(FLOOD);
  const terminal = openTerminal(serial);
  let seen = "";
  await until("the newest text", () => {
    seen += readAvailable(terminal);
    return seen === FLOOD.slice(-BUFFER_SIZE);
  });
  closeSync(terminal);
});

test("a reader that leaves a full pseudo terminal lets the guest go on", async () => {
  using serial = new SerialBench("pty");
  const idle = openTerminal(serial);
  await until("a full port", () => {
    serial.transmit(FLOOD);
    return !serial.canTransmit;
  });
  closeSync(idle);
  await until("room", () => serial.canTransmit);
  expect(serial.transmit(FLOOD)).toBe(FLOOD);
  serial.transmit("the end");
  const reader = openTerminal(serial);
  let seen = "";
  await until("the newest text", () => {
    seen += readAvailable(reader);
    return seen.endsWith("the end");
  });
  closeSync(reader);
});

test("what somebody writes to a pseudo terminal and leaves at once reaches the guest", async () => {
  using serial = new SerialBench("pty");
  for (let round = 0; round < 20; round += 1) {
    const writer = openTerminal(serial);
    writeSync(writer, `line ${round}\n`);
    closeSync(writer);
    await receive(serial, `line ${round}\n`);
  }
});

test("a pseudo terminal costs no processor time when its reader is idle or gone", async () => {
  using serial = new SerialBench("pty");
  const beforeAnybody = await serial.idleShare();
  const reader = openTerminal(serial);
  await until("a full port", () => {
    serial.transmit(FLOOD);
    return !serial.canTransmit;
  });
  const whileIdle = await serial.idleShare();
  closeSync(reader);
  await until("room", () => serial.canTransmit);
  const afterwards = await serial.idleShare();
  expect(Math.min(beforeAnybody, whileIdle, afterwards)).toBeGreaterThan(0.8);
});

test("input for a guest that takes none waits also when its writer has gone", async () => {
  using serial = new SerialBench("pty");
  const writer = openTerminal(serial);
  const written = writeSync(writer, FLOOD.slice(0, 4000));
  await until("input", () => serial.hasInput);
  closeSync(writer);
  expect(await serial.idleShare()).toBeGreaterThan(0.8);
  await receive(serial, FLOOD.slice(0, written));
});

test("1,000 visits to a pseudo terminal leave nothing behind", async () => {
  using serial = new SerialBench("pty");
  const before = processFacts();
  for (let round = 1; round <= 1000; round += 1) {
    const visitor = openTerminal(serial);
    writeSync(visitor, "x");
    closeSync(visitor);
    await receive(serial, "x");
  }
  expect(processFacts().descriptorCount).toBe(before.descriptorCount);
}, 60_000);

test("a device without room loses output, says so and keeps the port going", async () => {
  using serial = new SerialBench({ path: "/dev/full" });
  const sent = serial.transmit(FLOOD);
  await until("the last byte's loss", () => serial.news.lostByteCount === sent.length);
  expect(serial.news.lastErrno).toBe(ENOSPC);
  expect(serial.canTransmit).toBe(true);
});

test("a pipe that nobody reads is refused; a slow reader of one loses nothing", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("pipe");
  await runCommand(["mkfifo", path]);
  expect(() => new SerialBench({ path })).toThrow(
    `The output file '${path}' (chardev 'c') is a device that this host does not have or a ` +
      "pipe that nobody reads; name another.",
  );
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  using serial = new SerialBench({ path });
  let sent = "";
  await until("a full port", () => {
    sent += serial.transmit(FLOOD);
    return !serial.canTransmit;
  });
  let seen = "";
  await until("all that was sent", () => {
    seen += readAvailable(reader);
    return seen === sent;
  });
  closeSync(reader);
});

test("1,000 clients leave nothing behind", async () => {
  using serial = new SerialBench("socket");
  const visit = async (round: number): Promise<void> => {
    const client = await SocketClient.connect(serial.socketPath);
    await until("the port's notice", () => serial.news.clientCount === round);
    serial.transmit("x");
    await until("a byte", () => client.text === "x");
    await client.close();
  };
  await visit(1);
  const before = processFacts();
  for (let round = 2; round <= 1000; round += 1) await visit(round);
  const after = processFacts();
  expect(after.descriptorCount).toBeLessThanOrEqual(before.descriptorCount);
}, 60_000);

function openTerminal(serial: SerialBench): number {
  return openSync(serial.ptyPath, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
}

function readAvailable(fd: number): string {
  const buffer = new Uint8Array(64 * 1024);
  try {
    return new TextDecoder().decode(buffer.subarray(0, readSync(fd, buffer)));
  } catch {
    return "";
  }
}
