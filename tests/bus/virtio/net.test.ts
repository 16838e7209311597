// virtio-net between guest memory and a socket that stands for the tap (virtio 1.2, section 5.1).

import { expect, test } from "bun:test";
import { CONSTANTS } from "../../../src/core/abi.gen.ts";
import { macBytes } from "../../../src/devices/mac_bytes.ts";
import { NetBench } from "../../support/net_bench.ts";
import {
  frameTo,
  HEADER_SIZE,
  NET_FEATURE,
  OWN_MAC,
  RECEIVE,
  SEND,
  withHeader,
} from "../../support/net_driver.ts";
import { Random } from "../../support/random.ts";
import { scribbleRings } from "../../support/random_rings.ts";
import { until, untilFound } from "../../support/until.ts";
import { FEATURE } from "../../support/virtio_transport.ts";

const OTHER_MAC = "52:54:00:99:99:99";
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const BUFFER_SIZE = 1530;
const CONTROL = 2;

test("config space shows address, link and pairs", () => {
  using bench = new NetBench();
  const { transport } = bench.driver;
  const bytes = [0, 1, 2, 3, 4, 5].map((offset) => Number(transport.readConfig(offset, 1)));
  expect(bytes).toEqual([...macBytes(OWN_MAC)]);
  expect(transport.readConfig(6, 2)).toBe(1n);
  expect(transport.readConfig(8, 2)).toBe(1n);
  transport.writeConfig(0, 4, 0n);
  expect(transport.readConfig(0, 4)).toBe(0x1200_5452n);
});

test("offloads are offered only where the tap has them", () => {
  const offered = (flags: number): bigint => {
    using bench = new NetBench({ flags });
    return bench.driver.transport.offeredFeatures();
  };
  const { netOffload, netUfo } = CONSTANTS;
  const kinds = NET_FEATURE.checksum | NET_FEATURE.guestTso4;
  const ufo = NET_FEATURE.guestUfo | NET_FEATURE.hostUfo;
  expect(offered(0) & (kinds | ufo | NET_FEATURE.multiQueue)).toBe(0n);
  expect(offered(netOffload) & (kinds | ufo)).toBe(kinds);
  expect(offered(netOffload | netUfo) & (kinds | ufo)).toBe(kinds | ufo);
});

test.each([1, 7, 12, 13, 200, 3000])(
  "sends a frame in buffers of %i bytes as it is",
  async (size) => {
    using bench = new NetBench({ features: FEATURE.indirect });
    const bytes = withHeader(frameTo(OTHER_MAC, 200));
    bytes.set([1, 0, 0, 0, 0, 0, 14, 0, 6, 0]);
    const { driver } = bench;
    driver.queue(SEND).addIndirect(driver.sending(bytes, size));
    driver.queue(SEND).publish();
    driver.transport.notify(SEND);
    const [used] = await driver.takeUsed(SEND, 1);
    expect(used?.length).toBe(0);
    expect(await bench.wire.receive()).toEqual(bytes);
  },
);

test("receives a frame into one buffer, with its header and a count of one", async () => {
  using bench = new NetBench();
  bench.driver.offerBuffers(1, BUFFER_SIZE);
  const bytes = withHeader(frameTo(OWN_MAC, 1514));
  bytes.set([1, 1, 2, 0, 3, 0, 4, 0, 5, 0]);
  bench.wire.send(bytes);
  const received = await bench.driver.receive();
  expect([...received.header]).toEqual([1, 1, 2, 0, 3, 0, 4, 0, 5, 0, 1, 0]);
  expect(received.frame).toEqual(frameTo(OWN_MAC, 1514));
});

test("receives a long frame into many buffers, and a short one into one after it", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable | FEATURE.eventIndex });
  const { driver, wire } = bench;
  driver.offerBuffers(40, BUFFER_SIZE);
  const long = frameTo(OWN_MAC, 20_000);
  for (const frame of [long, frameTo(OWN_MAC)]) {
    wire.send(withHeader(frame));
    const received = await driver.receive();
    expect(received.frame).toEqual(frame);
    expect(received.bufferCount).toBe(Math.ceil((HEADER_SIZE + frame.length) / BUFFER_SIZE));
  }
});

test("keeps a frame that came when there were too few buffers until there are more", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable | FEATURE.eventIndex });
  const { driver, wire } = bench;
  const frames = [frameTo(OWN_MAC, 1000), frameTo(OWN_MAC, 6000, 2), frameTo(OWN_MAC, 1000, 3)];
  driver.offerBuffers(3, BUFFER_SIZE);
  for (const frame of frames) wire.send(withHeader(frame));
  expect((await driver.receive()).frame).toEqual(frames[0] ?? new Uint8Array(0));
  driver.offerBuffers(1, BUFFER_SIZE);
  await until("a wish for more", () => driver.queue(RECEIVE).availableEvent() === 4);
  driver.offerBuffers(2, BUFFER_SIZE);
  const { frame, bufferCount } = await driver.receive();
  expect(frame).toEqual(frames[1] ?? new Uint8Array(0));
  expect(bufferCount).toBe(4);
  expect((await driver.receive()).frame).toEqual(frames[2] ?? new Uint8Array(0));
});

test("receives a long frame after a run of short ones, and short ones after it", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable });
  const { driver, wire } = bench;
  driver.offerBuffers(60, BUFFER_SIZE);
  const sizes = [...Array.from({ length: 30 }, () => 60), 9000, 7000, 60, 1514];
  for (const [index, size] of sizes.entries()) {
    wire.send(withHeader(frameTo(OWN_MAC, size, index)));
    expect((await driver.receive()).frame).toEqual(frameTo(OWN_MAC, size, index));
  }
});

test("gives up a frame for which a whole ring has no room", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable, queueSize: 4 });
  const { driver, wire } = bench;
  driver.offerBuffers(4, BUFFER_SIZE);
  wire.send(withHeader(frameTo(OWN_MAC, 7000)));
  wire.send(withHeader(frameTo(OWN_MAC)));
  expect((await driver.receive()).frame).toEqual(frameTo(OWN_MAC));
});

test("knows whom a frame is for when the guest has no room for its beginning", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable | NET_FEATURE.control });
  const { driver, wire } = bench;
  expect(await driver.command([0, 0, 0])).toBe(0);
  driver.offerBuffers(1, HEADER_SIZE);
  wire.send(withHeader(frameTo(OTHER_MAC)));
  wire.send(withHeader(frameTo(OWN_MAC)));
  driver.offerBuffers(1, BUFFER_SIZE);
  expect(await driver.receive()).toMatchObject({ frame: frameTo(OWN_MAC), bufferCount: 2 });
});

test("receives into tiny buffers across which the count of the header lies", async () => {
  using bench = new NetBench({ features: FEATURE.indirect });
  const { driver, ram } = { driver: bench.driver, ram: bench.machine.ram };
  const buffers = [11, 3, 1, 100].map((size) => ram.allocate(size));
  driver.queue(RECEIVE).addIndirect(buffers.map((buffer) => ({ ...buffer, writable: true })));
  driver.queue(RECEIVE).publish();
  driver.transport.notify(RECEIVE);
  bench.wire.send(withHeader(frameTo(OWN_MAC)));
  await driver.takeUsed(RECEIVE, 1);
  const bytes = buffers.flatMap((buffer) => [...ram.read(buffer)]);
  const expected = withHeader(frameTo(OWN_MAC));
  expected[HEADER_SIZE - 2] = 1;
  expect(bytes.slice(0, expected.length)).toEqual([...expected]);
});

test.each([
  ["longer than its only buffer", withHeader(frameTo(OWN_MAC, 1600))],
  ["shorter than a frame", new Uint8Array(20)],
  ["shorter than a header", new Uint8Array(3)],
])("skips what is %s and receives the next", async (_what, bytes) => {
  using bench = new NetBench();
  bench.driver.offerBuffers(1, BUFFER_SIZE);
  bench.wire.send(bytes);
  bench.wire.send(withHeader(frameTo(OWN_MAC)));
  expect((await bench.driver.receive()).frame).toEqual(frameTo(OWN_MAC));
  expect(bench.driver.needsReset).toBe(false);
});

test("leaves frames with the tap until there are buffers, and keeps their order", async () => {
  using bench = new NetBench();
  const { driver, wire } = bench;
  for (let seed = 0; seed < 3; seed += 1) wire.send(withHeader(frameTo(OWN_MAC, 60, seed)));
  for (let seed = 0; seed < 3; seed += 1) {
    driver.offerBuffers(1, BUFFER_SIZE);
    expect((await driver.receive()).frame).toEqual(frameTo(OWN_MAC, 60, seed));
  }
  await until("notifications wanted", () => driver.queue(RECEIVE).deviceWantsNotification());
});

test("leaves frames with the guest while the tap is full, and sends them after that", async () => {
  using bench = new NetBench({ features: FEATURE.eventIndex });
  const { driver, wire } = bench;
  const count = 200;
  // More bytes than the socket between them holds.
  const frame = (seed: number) => withHeader(frameTo(OTHER_MAC, 4000, seed));
  for (let seed = 0; seed < count; seed += 1) {
    driver.queue(SEND).add(driver.sending(frame(seed)));
  }
  driver.queue(SEND).publish();
  driver.transport.notify(SEND);
  const first = await driver.takeUsed(SEND, 1);
  expect(first.length).toBeLessThan(count);
  for (let seed = 0; seed < count; seed += 1) {
    expect(await wire.receive()).toEqual(frame(seed));
  }
  await driver.takeUsed(SEND, count - first.length);
  await until("notifications", () => driver.queue(SEND).availableEvent() === count);
});

test("passes what the guest wants and no more", async () => {
  using bench = new NetBench({ features: NET_FEATURE.control });
  const { driver, wire } = bench;
  driver.offerBuffers(8, BUFFER_SIZE);
  const passes = async (target: string): Promise<boolean> => {
    wire.send(withHeader(frameTo(target, 60, 7)));
    wire.send(withHeader(frameTo(BROADCAST, 60, 9)));
    const marks: (number | undefined)[] = [];
    do marks.push((await driver.receive()).frame[20]);
    while (marks.at(-1) !== 20 + 9);
    return marks.includes(20 + 7);
  };
  expect(await passes(OTHER_MAC)).toBe(true);
  expect(await driver.command([0, 0, 0])).toBe(0);
  expect(await passes(OTHER_MAC)).toBe(false);
  expect(await passes(OWN_MAC)).toBe(true);
  expect(await driver.command([1, 1, ...macBytes(OTHER_MAC)])).toBe(0);
  expect(await passes(OTHER_MAC)).toBe(true);
  expect(await passes(OWN_MAC)).toBe(false);
});

test("an address that the driver set lasts until reset", async () => {
  using bench = new NetBench({ features: NET_FEATURE.control });
  const { driver } = bench;
  expect(await driver.command([1, 1, ...macBytes(OTHER_MAC)])).toBe(0);
  expect(driver.transport.readConfig(2, 4)).toBe(0x9999_9900n);
  driver.transport.writeStatus(0);
  expect(driver.transport.readConfig(2, 4)).toBe(0x5634_1200n);
});

test("refuses commands that it does not know, and pairs that it does not have", async () => {
  using bench = new NetBench({ features: NET_FEATURE.control });
  const { driver } = bench;
  const commands = [
    [9, 9],
    [0, 0],
    [0, 0, 2],
    [4, 0, 1, 0],
    [1, 0, 255, 255, 255, 255],
    [2, 0, 0, 16],
  ];
  const answers: number[] = [];
  for (const command of commands) answers.push(await driver.command(command));
  expect(answers).toEqual(commands.map(() => 1));
  expect(await driver.command([2, 0, 255, 15])).toBe(0);
});

const BROKEN: readonly [string, number, { length: number; writable: boolean }[]][] = [
  ["a frame shorter than its header", SEND, [{ length: 11, writable: false }]],
  ["a frame to write into", SEND, [{ length: 100, writable: true }]],
  ["a receive buffer to read from", RECEIVE, [{ length: 1530, writable: false }]],
  ["a receive buffer shorter than a header", RECEIVE, [{ length: 11, writable: true }]],
  [
    "a command of one byte",
    CONTROL,
    [
      { length: 1, writable: false },
      { length: 1, writable: true },
    ],
  ],
  ["a command without room for its answer", CONTROL, [{ length: 8, writable: false }]],
];
test.each(BROKEN)("asks for a reset after %s, and works after it", async (_what, queue, parts) => {
  using bench = new NetBench();
  const { driver, wire } = bench;
  wire.send(withHeader(frameTo(OWN_MAC)));
  driver.offer(
    queue,
    parts.map(({ length, writable }) => ({ ...driver.ram.allocate(length), writable })),
  );
  await until("NEEDS_RESET", () => driver.needsReset);
  bench.start();
  driver.offerBuffers(1, BUFFER_SIZE);
  expect((await driver.receive()).frame).toEqual(frameTo(OWN_MAC));
});

test("touches no buffer after a reset in the middle of traffic", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable });
  const { driver, wire, machine } = bench;
  for (let round = 0; round < 30; round += 1) {
    const buffers = Array.from({ length: 16 }, () => machine.ram.allocate(BUFFER_SIZE));
    for (const buffer of buffers) driver.queue(RECEIVE).add([{ ...buffer, writable: true }]);
    driver.queue(RECEIVE).publish();
    driver.transport.notify(RECEIVE);
    while (wire.send(withHeader(frameTo(OWN_MAC, 1000, round))));
    driver.transport.writeStatus(0);
    for (const buffer of buffers) machine.ram.write(buffer.address, new Uint8Array(BUFFER_SIZE));
    wire.send(withHeader(frameTo(OWN_MAC, 1000, round)));
    bench.start();
    driver.offerBuffers(1, BUFFER_SIZE);
    await driver.receive();
    const written = buffers.filter((buffer) => machine.ram.read(buffer).some((byte) => byte !== 0));
    expect(written).toEqual([]);
  }
});

test.each([1, 2, 3, 4, 5, 6])("survives random rings on all its queues, seed %i", async (seed) => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable | FEATURE.indirect });
  const { driver, wire, machine } = bench;
  const random = new Random(seed);
  const scratch = machine.ram.allocate(0x1000);
  for (let round = 0; round < 40; round += 1) {
    scribbleRings({ driver, machine, scratch }, random);
    wire.send(withHeader(frameTo(OWN_MAC, 60 + random.below(9000))));
    wire.take();
    bench.start();
  }
  driver.offerBuffers(200, BUFFER_SIZE);
  await until("room on the wire", () => wire.send(withHeader(frameTo(OWN_MAC, 60, 99))));
  await untilFound("the last frame", async () => {
    const { frame, bufferCount } = await driver.receive();
    driver.offerBuffers(bufferCount, BUFFER_SIZE);
    return frame[14] === 113 || undefined;
  });
  expect(driver.needsReset).toBe(false);
});

test("a thousand frames each way wake the event loop never", async () => {
  using bench = new NetBench({ features: NET_FEATURE.mergeable | FEATURE.eventIndex });
  const { driver, wire } = bench;
  for (let round = 0; round < 1000; round += 1) {
    driver.offerBuffers(1, BUFFER_SIZE);
    wire.send(withHeader(frameTo(OWN_MAC, 200, round)));
    expect((await driver.receive()).frame[50]).toBe((50 + round) % 256);
    driver.offer(SEND, driver.sending(withHeader(frameTo(OTHER_MAC, 200, round))));
    expect((await wire.receive())[62]).toBe((50 + round) % 256);
    await driver.takeUsed(SEND, 1);
  }
  expect(bench.machine.core.takeNews().ringCount).toBe(0);
});
