// Each engine of virtio-blk moves the right bytes: random requests against a model of the disk,
// with and without O_DIRECT, from buffers of any alignment, many in flight; and on a full host.

import { describe, expect, test } from "bun:test";
import { constants, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { EngineKind } from "../../../src/core/abi.gen.ts";
import { BlkBench } from "../../support/blk_bench.ts";
import { BLK_FEATURE, BLK_REQUEST, BLK_STATUS, SECTOR_SIZE } from "../../support/blk_driver.ts";
import { runInFullFileSystem } from "../../support/full_file_system.ts";
import { Random } from "../../support/random.ts";
import { FEATURE } from "../../support/virtio_transport.ts";

const alignment = Math.min(statSync(tmpdir()).blksize, 4096);
const DIRECT = {
  openFlags: constants.O_RDWR | constants.O_DIRECT,
  requestAlignment: alignment,
  bufferAlignment: alignment,
} as const;

const ENGINES = [
  ["sync", { engine: EngineKind.sync }],
  ["io_uring", { engine: EngineKind.ioUring }],
  ["native", { engine: EngineKind.native }],
  ["sync with O_DIRECT", { engine: EngineKind.sync, ...DIRECT }],
  ["io_uring with O_DIRECT", { engine: EngineKind.ioUring, ...DIRECT }],
  ["native with O_DIRECT", { engine: EngineKind.native, ...DIRECT }],
] as const;

const STRIPE_COUNT = 8;
const STRIPE_SECTORS = 64;
const DISK_SIZE = STRIPE_COUNT * STRIPE_SECTORS * SECTOR_SIZE;
const ROUND_COUNT = 12;

/** A disk in memory beside the real one, and a buffer of guest memory for each stripe of it. */
class Exercise {
  readonly #bench: BlkBench;
  readonly #random: Random;
  readonly #expected: Uint8Array;
  readonly #buffers: readonly number[];

  constructor(bench: BlkBench, seed: number, content: Uint8Array) {
    this.#bench = bench;
    this.#random = new Random(seed);
    this.#expected = content.slice();
    const size = STRIPE_SECTORS * SECTOR_SIZE + alignment;
    this.#buffers = Array.from(
      { length: STRIPE_COUNT },
      () => bench.machine.ram.allocate(size, alignment).address,
    );
  }

  get expected(): Uint8Array {
    return this.#expected;
  }

  /** One request in each stripe, all in flight together; their effects cannot overlap. */
  async round(): Promise<void> {
    const { driver } = this.#bench;
    const checks = Array.from({ length: STRIPE_COUNT }, (_, stripe) => this.#submit(stripe));
    await driver.takeUsed(0, STRIPE_COUNT);
    for (const check of checks) check();
  }

  #submit(stripe: number): () => void {
    const random = this.#random;
    const first = random.below(STRIPE_SECTORS);
    const length = (1 + random.below(STRIPE_SECTORS - first)) * SECTOR_SIZE;
    const sector = stripe * STRIPE_SECTORS + first;
    const isAligned = random.below(2) === 0;
    const address = (this.#buffers[stripe] ?? 0) + (isAligned ? 0 : random.below(alignment));
    const pieces = this.#cut(address, length);
    const submit = random.below(2) === 0 ? this.#submitRead : this.#submitWrite;
    return submit.call(this, { sector, address, length, pieces });
  }

  #cut(address: number, length: number): { address: number; length: number }[] {
    const half = this.#random.below(length);
    const pieces = [
      { address, length: half },
      { address: address + half, length: length - half },
    ];
    return pieces.filter((piece) => piece.length > 0);
  }

  #submitRead({ sector, address, length, pieces }: Transfer): () => void {
    const { driver, machine } = this.#bench;
    machine.ram.write(address, new Uint8Array(length).fill(0xaa));
    const request = driver.prepare({ type: BLK_REQUEST.read, sector, input: pieces });
    driver.offer(0, request.parts);
    const start = sector * SECTOR_SIZE;
    return () => {
      expect(driver.statusOf(request)).toBe(BLK_STATUS.ok);
      const read = Buffer.from(machine.ram.read({ address, length }));
      expect(read.equals(this.#expected.subarray(start, start + length))).toBe(true);
    };
  }

  #submitWrite({ sector, address, length, pieces }: Transfer): () => void {
    const { driver, machine } = this.#bench;
    const bytes = this.#random.bytes(length);
    machine.ram.write(address, bytes);
    const request = driver.prepare({ type: BLK_REQUEST.write, sector, output: pieces });
    driver.offer(0, request.parts);
    this.#expected.set(bytes, sector * SECTOR_SIZE);
    return () => expect(driver.statusOf(request)).toBe(BLK_STATUS.ok);
  }
}

interface Transfer {
  readonly sector: number;
  readonly address: number;
  readonly length: number;
  readonly pieces: readonly { readonly address: number; readonly length: number }[];
}

describe.each(ENGINES)("engine %s", (_name, options) => {
  test.each([11, 12])("moves the right bytes, seed %i", async (seed) => {
    const content = new Random(seed).bytes(DISK_SIZE);
    using bench = new BlkBench({ ...options, content });
    bench.driver.start({ features: BLK_FEATURE.flush | FEATURE.eventIndex | FEATURE.indirect });
    const exercise = new Exercise(bench, seed, content);
    for (let round = 0; round < ROUND_COUNT; round += 1) await exercise.round();
    expect(await bench.driver.flush()).toBe(BLK_STATUS.ok);
    expect(readFileSync(bench.path).equals(exercise.expected)).toBe(true);
    expect(bench.machine.core.takeNews().ringCount).toBe(0);
  });

  test("is durable write by write when the driver takes no FLUSH", async () => {
    using bench = new BlkBench(options);
    bench.driver.start();
    const bytes = new Random(13).bytes(3 * SECTOR_SIZE);
    expect(await bench.driver.write(5, bytes)).toBe(BLK_STATUS.ok);
    expect(await bench.driver.flush()).toBe(BLK_STATUS.ok);
    expect(await bench.driver.read(5, bytes.length)).toEqual(bytes);
  });

  test("passes a failure of the file on", async () => {
    using bench = new BlkBench({ engine: options.engine, openFlags: constants.O_WRONLY });
    bench.driver.start();
    const input = [bench.driver.ram.allocate(SECTOR_SIZE)];
    expect(await bench.driver.request({ type: BLK_REQUEST.read, input })).toBe(BLK_STATUS.ioError);
    expect(await bench.driver.write(0, new Uint8Array(SECTOR_SIZE))).toBe(BLK_STATUS.ok);
  });

  test("ends all requests when its device is destroyed with many in flight", async () => {
    using bench = new BlkBench(options);
    const { driver, machine } = bench;
    driver.start();
    for (let count = 0; count < 16; count += 1) {
      const input = [driver.ram.allocate(16 * SECTOR_SIZE, 1)];
      driver.queue(0).add(driver.prepare({ type: BLK_REQUEST.read, input }).parts);
    }
    driver.queue(0).publish();
    driver.transport.notify(0);
    machine.core.publishMap([]);
    machine.core.destroyDevice(driver.transport.device);
    expect(() => driver.transport.interruptCount()).toThrow("stale");
  });
});

const fullFileSystem = await runInFullFileSystem();

test.skipIf(fullFileSystem.skipped !== undefined).each(fullFileSystem.reports)(
  "engine %s tells the guest of a full host and keeps what it has acknowledged",
  (_name, report) => {
    expect(report.acknowledged).toBeGreaterThan(0);
    expect(report.refused).toBeGreaterThan(0);
    expect(report.flushStatus).toBe(BLK_STATUS.ok);
    expect(report.lost).toBe(0);
  },
);
