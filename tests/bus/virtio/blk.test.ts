// virtio-blk as a guest sees it: its requests, their bounds and their layouts (virtio 1.2, section
// 5.2; behaviour 4.1).

import { describe, expect, test } from "bun:test";
import { constants, readFileSync, truncateSync } from "node:fs";
import { CONSTANTS } from "../../../src/core/abi.gen.ts";
import { BlkBench } from "../../support/blk_bench.ts";
import {
  BLK_FEATURE,
  BLK_REQUEST,
  BLK_STATUS,
  SECTOR_SIZE,
  STATUS_UNTOUCHED,
} from "../../support/blk_driver.ts";
import { until } from "../../support/until.ts";
import { FEATURE } from "../../support/virtio_transport.ts";

const SECTOR_COUNT = 256;
const { ok, ioError, unsupported } = BLK_STATUS;

const pattern = (seed: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed + (index >> 8)) & 0xff);

describe("configuration", () => {
  test("tells capacity in sectors, rounded down, and the segments of a request", () => {
    using bench = new BlkBench({ content: new Uint8Array(10 * SECTOR_SIZE + 511), queueSize: 128 });
    expect(bench.driver.transport.readConfig(0, 8)).toBe(10n);
    expect(bench.driver.transport.readConfig(12, 4)).toBe(126n);
    expect(bench.driver.transport.readConfig(34, 2)).toBe(0n);
  });

  test("tells the number of queues when there are several", () => {
    using bench = new BlkBench({ queueCount: 4 });
    expect(bench.driver.transport.readConfig(34, 2)).toBe(4n);
  });

  const always =
    FEATURE.version1 |
    FEATURE.indirect |
    FEATURE.eventIndex |
    BLK_FEATURE.segmentMax |
    BLK_FEATURE.flush;
  const offers: [string, object, bigint][] = [
    ["a plain disk", {}, 0n],
    ["a read-only disk", { flags: CONSTANTS.blkReadOnly }, BLK_FEATURE.readOnly],
    ["several queues", { queueCount: 2 }, BLK_FEATURE.multiQueue],
    ["discard", { flags: CONSTANTS.blkDiscard }, BLK_FEATURE.discard],
    ["write-zeroes", { flags: CONSTANTS.blkWriteZeroes }, BLK_FEATURE.writeZeroes],
  ];
  test.each(offers)("offers the features of %s", (_name, options, more) => {
    using bench = new BlkBench(options);
    expect(bench.driver.transport.offeredFeatures()).toBe(always | more);
  });
});

describe("requests", () => {
  test("reads what the file has, and reports each byte written and the status", async () => {
    const content = pattern(1, SECTOR_COUNT * SECTOR_SIZE);
    using bench = new BlkBench({ content });
    bench.driver.start();
    const buffer = bench.driver.ram.allocate(4096);
    const request = bench.driver.prepare({ type: BLK_REQUEST.read, sector: 3, input: [buffer] });
    expect(await bench.driver.run(0, request.parts)).toBe(4096 + 1);
    expect(bench.driver.statusOf(request)).toBe(ok);
    const expected = content.subarray(3 * SECTOR_SIZE, 3 * SECTOR_SIZE + 4096);
    expect(bench.driver.ram.read(buffer)).toEqual(expected);
  });

  test("writes to the file, and reports one byte written", async () => {
    using bench = new BlkBench({});
    bench.driver.start({ features: BLK_FEATURE.flush });
    const bytes = pattern(2, 8192);
    const output = [bench.driver.ram.place(bytes)];
    const request = bench.driver.prepare({ type: BLK_REQUEST.write, sector: 8, output });
    expect(await bench.driver.run(0, request.parts)).toBe(1);
    expect(bench.driver.statusOf(request)).toBe(ok);
    expect(await bench.driver.flush()).toBe(ok);
    const file = readFileSync(bench.path);
    expect(file.subarray(4096, 4096 + 8192)).toEqual(Buffer.from(bytes));
    expect(file.subarray(0, 4096)).toEqual(Buffer.alloc(4096));
  });

  test("answers the serial number, padded with zeroes, and cut to a short buffer", async () => {
    const serial = new Uint8Array(20);
    serial.set(new TextEncoder().encode("disk-of-test"));
    using bench = new BlkBench({ serial });
    bench.driver.start();
    const whole = bench.driver.ram.place(new Uint8Array(20).fill(0xaa));
    const short = bench.driver.ram.place(new Uint8Array(4).fill(0xaa));
    expect(await bench.driver.request({ type: BLK_REQUEST.getId, input: [whole] })).toBe(ok);
    expect(await bench.driver.request({ type: BLK_REQUEST.getId, input: [short] })).toBe(ok);
    expect(bench.driver.ram.read(whole)).toEqual(serial);
    expect(new TextDecoder().decode(bench.driver.ram.read(short))).toBe("disk");
  });

  const types = [2, 3, 5, 9, 10, BLK_REQUEST.discard, BLK_REQUEST.writeZeroes, 14, 0x8000_0000];
  test.each(types)("says that type %i is not supported", async (type) => {
    using bench = new BlkBench({});
    bench.driver.start();
    const output = [bench.driver.ram.place(new Uint8Array(SECTOR_SIZE))];
    expect(await bench.driver.request({ type, output })).toBe(unsupported);
    expect(await bench.driver.write(0, pattern(3, SECTOR_SIZE))).toBe(ok);
  });

  const bounds: [string, number | bigint, number[], number][] = [
    ["the last sector", SECTOR_COUNT - 1, [512], ok],
    ["nothing at the end", SECTOR_COUNT, [], ok],
    ["nothing past the end", SECTOR_COUNT + 1, [], ioError],
    ["one sector past the end", SECTOR_COUNT, [512], ioError],
    ["two sectors across the end", SECTOR_COUNT - 1, [1024], ioError],
    ["the last sector that 64 bits can name", 0xffff_ffff_ffff_ffffn, [512], ioError],
    ["a sector whose byte offset overflows", 2n ** 55n, [512], ioError],
    ["half a sector", 0, [256], ioError],
    ["a sector and a byte", 0, [513], ioError],
  ];
  test.each(bounds)("ends a transfer of %s in the right status", async (...row) => {
    const [, sector, lengths, status] = row;
    using bench = new BlkBench({ content: new Uint8Array(SECTOR_COUNT * SECTOR_SIZE) });
    const { driver } = bench;
    driver.start();
    const buffers = lengths.map((length) => driver.ram.allocate(length));
    expect(await driver.request({ type: BLK_REQUEST.read, sector, input: buffers })).toBe(status);
    expect(await driver.request({ type: BLK_REQUEST.write, sector, output: buffers })).toBe(status);
    expect(readFileSync(bench.path).length).toBe(SECTOR_COUNT * SECTOR_SIZE);
  });

  test("refuses each change of a read-only disk, and reads it", async () => {
    const content = pattern(4, 64 * 1024);
    const flags = CONSTANTS.blkReadOnly | CONSTANTS.blkDiscard | CONSTANTS.blkWriteZeroes;
    using bench = new BlkBench({ content, flags, openFlags: constants.O_RDONLY });
    bench.driver.start();
    expect(await bench.driver.write(0, pattern(5, SECTOR_SIZE))).toBe(ioError);
    expect(await bench.changeRange(BLK_REQUEST.discard, 0, 8, 0)).toBe(ioError);
    expect(await bench.changeRange(BLK_REQUEST.writeZeroes, 0, 8, 0)).toBe(ioError);
    expect(await bench.driver.read(0, 4096)).toEqual(content.subarray(0, 4096));
    expect(readFileSync(bench.path)).toEqual(Buffer.from(content));
  });
});

describe("layouts", () => {
  test("takes a header, data and status in pieces of any size", async () => {
    const content = pattern(6, 64 * 1024);
    using bench = new BlkBench({ content, queueSize: 256 });
    const { driver } = bench;
    driver.start();
    const header = driver.headerBytes(BLK_REQUEST.read, 2);
    const headerPieces = [1, 3, 12].map((length, index) => {
      const start = [0, 1, 4][index] ?? 0;
      return driver.ram.place(header.subarray(start, start + length), 1);
    });
    const dataPieces = [1, 511, 3, 509, 1000, 24].map((size) => driver.ram.allocate(size, 1));
    const status = driver.ram.place(Uint8Array.of(STATUS_UNTOUCHED), 1);
    const parts = [
      ...headerPieces.map((piece) => ({ ...piece, writable: false })),
      ...[...dataPieces, status].map((piece) => ({ ...piece, writable: true })),
    ];
    expect(await driver.run(0, parts)).toBe(2048 + 1);
    const read = dataPieces.flatMap((piece) => [...driver.ram.read(piece)]);
    expect(read).toEqual([...content.subarray(1024, 1024 + 2048)]);
    expect(driver.ram.read(status)).toEqual(Uint8Array.of(ok));
  });

  test("takes data behind the header, and the status behind data, in one buffer each", async () => {
    using bench = new BlkBench({});
    const { driver } = bench;
    driver.start();
    const bytes = pattern(7, 1024);
    const written = driver.ram.place(
      Uint8Array.of(...driver.headerBytes(BLK_REQUEST.write, 5), ...bytes),
    );
    const status = driver.ram.place(Uint8Array.of(STATUS_UNTOUCHED));
    await driver.run(0, [
      { ...written, writable: false },
      { ...status, writable: true },
    ]);
    expect(driver.ram.read(status)).toEqual(Uint8Array.of(ok));
    const header = driver.ram.place(driver.headerBytes(BLK_REQUEST.read, 5));
    const input = driver.ram.allocate(1025);
    await driver.run(0, [
      { ...header, writable: false },
      { ...input, writable: true },
    ]);
    expect(driver.ram.read(input)).toEqual(Uint8Array.of(...bytes, ok));
  });

  test("takes a buffer that crosses from one region of memory into the next", async () => {
    const content = pattern(8, 64 * 1024);
    using bench = new BlkBench({ content });
    const { driver, machine } = bench;
    machine.addMemory(machine.lowMemoryEnd, 0x10000);
    driver.start();
    const input = { address: machine.lowMemoryEnd - 1000, length: 4096 };
    expect(await driver.request({ type: BLK_REQUEST.read, sector: 1, input: [input] })).toBe(ok);
    const low = machine.ram.read({ ...input, length: 1000 });
    const high = machine.ram.read({ address: machine.lowMemoryEnd, length: 3096 });
    expect([...low, ...high]).toEqual([...content.subarray(512, 512 + 4096)]);
  });

  test.each([
    ["a header of 15 bytes", 15, 1],
    ["no header", 0, 1],
    ["no room for a status", 16, 0],
  ])("asks for a reset when a request has %s", async (_name, headerSize, statusSize) => {
    using bench = new BlkBench({});
    const { driver } = bench;
    driver.start();
    driver.offer(0, [
      { ...driver.ram.allocate(headerSize), writable: false },
      { ...driver.ram.allocate(statusSize), writable: true },
    ]);
    await until("NEEDS_RESET", () => driver.needsReset);
    driver.start();
    expect(await driver.write(0, pattern(9, SECTOR_SIZE))).toBe(ok);
  });
});

describe("many at once", () => {
  test("serves all queues of a device, each in full", async () => {
    using bench = new BlkBench({ queueCount: 8, queueSize: 32 });
    const { driver } = bench;
    driver.start({ queueCount: 8, features: BLK_FEATURE.multiQueue });
    const requests = Array.from({ length: 8 }, (_, queue) =>
      Array.from({ length: 10 }, (_, index) => {
        const output = [driver.ram.place(pattern(queue * 10 + index, SECTOR_SIZE))];
        const sector = queue * 10 + index;
        const prepared = driver.prepare({ type: BLK_REQUEST.write, sector, output });
        driver.offer(queue, prepared.parts);
        return prepared;
      }),
    );
    for (let queue = 0; queue < 8; queue += 1) await driver.takeUsed(queue, 10);
    expect(requests.flat().map((request) => driver.statusOf(request))).toEqual(Array(80).fill(ok));
    const file = readFileSync(bench.path);
    const sectors = Array.from({ length: 80 }, (_, index) => pattern(index, SECTOR_SIZE));
    expect(file.subarray(0, 80 * SECTOR_SIZE)).toEqual(Buffer.concat(sectors));
  });

  test("wakes JavaScript for none of it", async () => {
    using bench = new BlkBench({ iothread: "own" });
    bench.driver.start();
    for (let index = 0; index < 50; index += 1) await bench.driver.read(index, SECTOR_SIZE);
    expect(bench.machine.core.takeNews()).toEqual({ bits: 0, ringCount: 0 });
  });
});

describe("host failures", () => {
  test("a file that ends under the guest gives an I/O error; what is left reads on", async () => {
    using bench = new BlkBench({ content: pattern(10, 64 * 1024) });
    bench.driver.start();
    truncateSync(bench.path, 8192);
    const input = [bench.driver.ram.allocate(4096)];
    const read = (sector: number) =>
      bench.driver.request({ type: BLK_REQUEST.read, sector, input });
    expect(await read(16)).toBe(ioError);
    expect(await read(12)).toBe(ioError);
    expect(await read(8)).toBe(ok);
    expect(bench.driver.needsReset).toBe(false);
  });

  test("a file that cannot be written gives an I/O error for each write", async () => {
    using bench = new BlkBench({ openFlags: constants.O_RDONLY });
    bench.driver.start();
    expect(await bench.driver.write(0, pattern(11, SECTOR_SIZE))).toBe(ioError);
    expect(await bench.driver.write(1, pattern(11, SECTOR_SIZE))).toBe(ioError);
    expect(await bench.driver.read(0, SECTOR_SIZE)).toEqual(new Uint8Array(SECTOR_SIZE));
  });
});

describe("discard and write-zeroes", () => {
  const flags = CONSTANTS.blkDiscard | CONSTANTS.blkWriteZeroes;
  const content = pattern(12, 256 * 1024).map((byte) => byte | 1);

  test("write-zeroes leaves zeroes, and nothing else changes", async () => {
    using bench = new BlkBench({ content, flags });
    bench.driver.start();
    expect(await bench.changeRange(BLK_REQUEST.writeZeroes, 9, 100, 0)).toBe(ok);
    expect(await bench.changeRange(BLK_REQUEST.writeZeroes, 200, 16, 1)).toBe(ok);
    const expected = Buffer.from(content);
    expected.fill(0, 9 * 512, 109 * 512).fill(0, 200 * 512, 216 * 512);
    expect(readFileSync(bench.path)).toEqual(expected);
  });

  test("discard of whole blocks succeeds and keeps the rest", async () => {
    using bench = new BlkBench({ content, flags });
    bench.driver.start();
    expect(await bench.changeRange(BLK_REQUEST.discard, 64, 64, 0)).toBe(ok);
    const file = readFileSync(bench.path);
    expect(file.length).toBe(content.length);
    expect(file.subarray(0, 64 * 512)).toEqual(Buffer.from(content.subarray(0, 64 * 512)));
    expect(file.subarray(128 * 512)).toEqual(Buffer.from(content.subarray(128 * 512)));
  });

  const refused: [string, number, number, number, number, number][] = [
    ["discard with the unmap flag", BLK_REQUEST.discard, 0, 8, 1, unsupported],
    ["discard with an unknown flag", BLK_REQUEST.discard, 0, 8, 2, unsupported],
    ["write-zeroes with an unknown flag", BLK_REQUEST.writeZeroes, 0, 8, 4, unsupported],
    ["discard past the end", BLK_REQUEST.discard, 512, 1, 0, ioError],
    ["write-zeroes across the end", BLK_REQUEST.writeZeroes, 511, 2, 0, ioError],
    ["more sectors than are allowed", BLK_REQUEST.discard, 0, 0x80_0000, 0, ioError],
  ];
  test.each(refused)("refuses %s", async (_name, type, sector, count, flag, status) => {
    using bench = new BlkBench({ content, flags });
    bench.driver.start();
    expect(await bench.changeRange(type, sector, count, flag)).toBe(status);
    expect(readFileSync(bench.path)).toEqual(Buffer.from(content));
  });
});
