// What each key of -drive does to the disk that a guest sees and to the file behind it (behaviour
// 1.7 and 4.1).

import { describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { BLK_FEATURE, BLK_REQUEST, BLK_STATUS } from "../../support/blk_driver.ts";
import { DriveBench } from "../../support/drive_bench.ts";
import { openLoopDevice, whyNoLoopDevices } from "../../support/loop_device.ts";
import { Random } from "../../support/random.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";

const { ok, unsupported } = BLK_STATUS;
const DISK_SIZE = 256 * 1024;
const HALF_SECTORS = DISK_SIZE / 512 / 2;

function diskIn(folder: TemporaryFolder): { path: string; content: Buffer; blocks: number } {
  const path = folder.file("disk.img");
  const content = Buffer.from(new Random(1).bytes(DISK_SIZE));
  writeFileSync(path, content, { flush: true });
  return { path, content, blocks: statSync(path).blocks };
}

describe("features", () => {
  const rows: [string, bigint][] = [
    ["readonly=off", 0n],
    ["discard=unmap", BLK_FEATURE.discard],
    ["detect-zeroes=on", BLK_FEATURE.writeZeroes],
    ["detect-zeroes=unmap", BLK_FEATURE.writeZeroes],
    ["discard=on,detect-zeroes=unmap", BLK_FEATURE.discard | BLK_FEATURE.writeZeroes],
    ["readonly=on,discard=unmap,detect-zeroes=on", BLK_FEATURE.readOnly],
  ];
  test.each(rows)("of a drive with %s", (keys, features) => {
    using folder = new TemporaryFolder();
    using bench = new DriveBench(`file=${diskIn(folder).path},${keys}`);
    const kinds = BLK_FEATURE.readOnly | BLK_FEATURE.discard | BLK_FEATURE.writeZeroes;
    expect(bench.driver.transport.offeredFeatures() & kinds).toBe(features);
  });
});

describe("discard", () => {
  test("with unmap gives the space back to the host", async () => {
    using folder = new TemporaryFolder();
    const { path, content, blocks } = diskIn(folder);
    using bench = new DriveBench(`file=${path},discard=unmap`);
    bench.start();
    const range = { sector: 0, count: HALF_SECTORS };
    expect(await bench.changeRange(BLK_REQUEST.discard, range)).toBe(ok);
    expect(statSync(path).blocks).toBe(blocks - HALF_SECTORS);
    expect(statSync(path).size).toBe(DISK_SIZE);
    const rest = readFileSync(path).subarray(DISK_SIZE / 2);
    expect(rest.equals(content.subarray(DISK_SIZE / 2))).toBe(true);
  });

  test("with ignore is no command of the disk", async () => {
    using folder = new TemporaryFolder();
    const { path, content } = diskIn(folder);
    using bench = new DriveBench(`file=${path},discard=ignore`);
    bench.start();
    const range = { sector: 0, count: HALF_SECTORS };
    expect(await bench.changeRange(BLK_REQUEST.discard, range)).toBe(unsupported);
    expect(readFileSync(path).equals(content)).toBe(true);
  });
});

describe("written zeroes", () => {
  const rows: [string, number][] = [
    ["detect-zeroes=off", 0],
    ["detect-zeroes=on", 0],
    ["detect-zeroes=unmap", 0],
    ["detect-zeroes=on,discard=unmap", 0],
    ["detect-zeroes=unmap,discard=unmap", HALF_SECTORS],
  ];
  const engines = ["aio=native", "aio=io_uring", "aio=threads", "direct=off"];
  const table = rows.flatMap(([keys, freed]) =>
    engines.map((engine) => [`${keys},${engine}`, freed] as const),
  );
  test.each(table)("with %s read as zeroes and free %i sectors", async (keys, freed) => {
    using folder = new TemporaryFolder();
    const { path, content, blocks } = diskIn(folder);
    using bench = new DriveBench(`file=${path},${keys}`);
    bench.start();
    expect(await bench.driver.write(0, new Uint8Array(DISK_SIZE / 2))).toBe(ok);
    expect(await bench.driver.flush()).toBe(ok);
    expect(readFileSync(path).equals(content.fill(0, 0, DISK_SIZE / 2))).toBe(true);
    expect(statSync(path).blocks).toBe(blocks - freed);
  });

  const unmapRows: [string, number][] = [
    ["detect-zeroes=on", 0],
    ["detect-zeroes=on,discard=unmap", HALF_SECTORS],
  ];
  test.each(unmapRows)(
    "by the command that may unmap, with %s, free %i sectors",
    async (...row) => {
      const [keys, freed] = row;
      using folder = new TemporaryFolder();
      const { path, content, blocks } = diskIn(folder);
      using bench = new DriveBench(`file=${path},${keys}`);
      bench.start();
      const range = { sector: 0, count: HALF_SECTORS, flags: 1 };
      expect(await bench.changeRange(BLK_REQUEST.writeZeroes, range)).toBe(ok);
      expect(readFileSync(path).equals(content.fill(0, 0, DISK_SIZE / 2))).toBe(true);
      expect(statSync(path).blocks).toBe(blocks - freed);
    },
  );
});

test("throttling.iops-total lets one second's requests pass, and then its rate", async () => {
  using folder = new TemporaryFolder();
  using bench = new DriveBench(`file=${diskIn(folder).path},throttling.iops-total=100`);
  bench.start();
  const start = performance.now();
  for (let count = 0; count < 150; count += 1) await bench.driver.read(count, 512);
  expect(performance.now() - start).toBeGreaterThan(400);
});

describe.each(["native", "io_uring", "threads"])("aio=%s", (aio) => {
  test("reads and writes single sectors around O_DIRECT's alignment", async () => {
    using folder = new TemporaryFolder();
    const { path, content } = diskIn(folder);
    using bench = new DriveBench(`file=${path},aio=${aio}`);
    bench.start();
    const bytes = new Random(2).bytes(512);
    content.set(bytes, 3 * 512);
    expect(await bench.driver.write(3, bytes)).toBe(ok);
    expect(await bench.driver.flush()).toBe(ok);
    const read = Buffer.from(await bench.driver.read(1, 4096));
    expect(read.equals(content.subarray(512, 4608))).toBe(true);
    expect(readFileSync(path).equals(content)).toBe(true);
  });
});

using probeFolder = new TemporaryFolder();
const noLoop = await whyNoLoopDevices(probeFolder.file("probe"));

describe.skipIf(noLoop !== undefined).each([512, 4096])("blocks of %i", (blockSize) => {
  const keys = "discard=unmap,detect-zeroes=on";

  test("of a block device are used by whole sectors", async () => {
    using folder = new TemporaryFolder();
    const size = { bytes: DISK_SIZE, blockSize };
    await using device = await loopDevice(folder.file("device.img"), size);
    using bench = new DriveBench(`file=${device.path},${keys}`);
    bench.start();
    expect(bench.driver.transport.readConfig(0, 8)).toBe(BigInt(DISK_SIZE / 512));
    const bytes = new Random(3).bytes(DISK_SIZE);
    const content = bytes.slice();
    expect(await bench.driver.write(0, bytes)).toBe(ok);
    expect(await bench.driver.write(9, new Uint8Array(512))).toBe(ok);
    const range = { sector: 17, count: 1 };
    expect(await bench.changeRange(BLK_REQUEST.writeZeroes, range)).toBe(ok);
    expect(await bench.changeRange(BLK_REQUEST.discard, { sector: 25, count: 1 })).toBe(ok);
    const read = Buffer.from(await bench.driver.read(0, DISK_SIZE));
    content.fill(0, 9 * 512, 10 * 512).fill(0, 17 * 512, 18 * 512);
    // What a discarded sector holds is anyone's guess.
    content.set(read.subarray(25 * 512, 26 * 512), 25 * 512);
    expect(read.equals(content)).toBe(true);
  });
});

async function loopDevice(...options: Parameters<typeof openLoopDevice>) {
  const device = await openLoopDevice(...options);
  if (typeof device === "string") throw new Error(device);
  return device;
}
