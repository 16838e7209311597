// vhost-user-blk with Debian's qemu-storage-daemon behind it: requests, the end of the back end in
// the middle of them, a new size (virtio 1.2, section 5.2; behaviour 4.3).

import { expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import {
  BackEndCause,
  BackEndInfoLayout,
  CONSTANTS,
  Operation,
  VhostUserKind,
} from "../../../src/core/abi.gen.ts";
import { whyNo } from "../../support/back_end.ts";
import { BLK_FEATURE, BLK_REQUEST, BLK_STATUS, BlkDriver } from "../../support/blk_driver.ts";
import { REGISTER } from "../../support/mmio_transport.ts";
import type { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";
import { VhostUserBench } from "../../support/vhost_user_bench.ts";
import { FEATURE } from "../../support/virtio_transport.ts";

const DAEMON = "qemu-storage-daemon";
/** VIRTIO_BLK_F_CONFIG_WCE. */
const CONFIG_WRITE_BACK = 1n << 11n;
const DISK_SIZE = 4 * 2 ** 20;
const withDaemon = test.skipIf(whyNo(DAEMON, "any user") !== undefined);

/** An image of zeroes that stays when the daemon is started again, at so many requests a second. */
const daemon = (more: string, iopsLimit: number) => (socket: string, folder: TemporaryFolder) => {
  const image = folder.file("disk.img");
  writeFileSync(image, new Uint8Array(DISK_SIZE));
  const file = `driver=raw,node-name=image,file.driver=file,file.filename=${image}`;
  const place = `addr.type=unix,addr.path=${socket}`;
  return [
    ...[DAEMON, "--object", `throttle-group,id=slow,x-iops-total=${iopsLimit}`],
    ...["--blockdev", file],
    ...["--blockdev", "driver=throttle,node-name=disk,throttle-group=slow,file=image"],
    ...["--export", `type=vhost-user-blk,id=e,node-name=disk,writable=on,${place}${more}`],
  ];
};

const pattern = (seed: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed + (index >> 8)) & 0xff);

interface DiskWords {
  readonly queueCount?: number;
  readonly flags?: number;
  /** Of the daemon's export. */
  readonly more?: string;
  /** Requests a second; 0 is no limit. */
  readonly iopsLimit?: number;
}

/** A disk that nobody drives yet. */
async function diskOf({ queueCount = 1, flags = 0, more = "", iopsLimit = 0 }: DiskWords = {}) {
  const bench = await VhostUserBench.start(daemon(more, iopsLimit));
  const transport = bench.attach({ kind: VhostUserKind.blk, queueCount, queueSize: 128, flags });
  const driver = new BlkDriver(transport, bench.machine.ram);
  const image = () => readFileSync(bench.folder.file("disk.img"));
  const close = () => bench[Symbol.asyncDispose]();
  return { bench, transport, driver, image, [Symbol.asyncDispose]: close };
}

withDaemon("reads, writes and flushes, and the image holds what was written", async () => {
  await using disk = await diskOf();
  const { driver, transport } = disk;
  expect(transport.readConfig(0, 8)).toBe(BigInt(DISK_SIZE / 512));
  driver.start({ features: BLK_FEATURE.flush | FEATURE.eventIndex | FEATURE.indirect });
  const bytes = pattern(3, 8192);
  expect(await driver.write(16, bytes)).toBe(BLK_STATUS.ok);
  expect(await driver.flush()).toBe(BLK_STATUS.ok);
  expect(await driver.read(16, 8192)).toEqual(bytes);
  expect(disk.image().subarray(8192, 16384)).toEqual(Buffer.from(bytes));
  expect(await driver.write(DISK_SIZE / 512, bytes)).toBe(BLK_STATUS.ioError);
  expect(transport.read(REGISTER.interruptStatus) & 1).toBe(1);
});

withDaemon("serves again after each reset, whatever was in flight", async () => {
  await using disk = await diskOf({ iopsLimit: 100 });
  const { driver } = disk;
  for (let round = 0; round < 5; round += 1) {
    driver.start({ features: BLK_FEATURE.flush });
    const bytes = pattern(round, 512);
    expect(await driver.write(round, bytes)).toBe(BLK_STATUS.ok);
    const output = [driver.ram.place(bytes)];
    const { parts } = driver.prepare({ type: BLK_REQUEST.write, sector: 100 + round, output });
    driver.offer(0, parts);
    driver.transport.writeStatus(0);
  }
  driver.start();
  expect(await driver.read(4, 512)).toEqual(pattern(4, 512));
});

withDaemon("has as many queues as its back end, and each serves", async () => {
  await using disk = await diskOf({ queueCount: 8, more: ",num-queues=3" });
  const { driver, transport } = disk;
  expect(transport.readConfig(34, 2)).toBe(3n);
  driver.start({ features: BLK_FEATURE.multiQueue, queueCount: 3 });
  const all = [0, 1, 2].map((queue) => {
    const output = [driver.ram.place(pattern(queue, 512))];
    return driver.request({ type: BLK_REQUEST.write, sector: queue, output, queue });
  });
  expect(await Promise.all(all)).toEqual([BLK_STATUS.ok, BLK_STATUS.ok, BLK_STATUS.ok]);
  expect(disk.image().subarray(1024, 1536)).toEqual(Buffer.from(pattern(2, 512)));
});

withDaemon("is refused when its back end has fewer queues than were asked for", async () => {
  await using bench = await VhostUserBench.start(daemon("", 0));
  const flags = CONSTANTS.vhostUserExactQueues;
  const words = { kind: VhostUserKind.blk, queueCount: 2, queueSize: 128, flags };
  expect(() => bench.attach(words)).toThrow(
    expect.objectContaining({ operation: Operation.backEnd, value: BackEndCause.queues }),
  );
});

withDaemon("loses no request when its back end is killed in the middle of them", async () => {
  // One at a time: this daemon keeps no notes of what it works on, so that only their order tells.
  await using disk = await diskOf({ iopsLimit: 10 });
  const { bench, driver, transport } = disk;
  driver.start({ features: BLK_FEATURE.flush });
  const writes = Array.from({ length: 8 }, (_, index) => {
    const output = [driver.ram.place(pattern(index, 4096))];
    return driver.prepare({ type: BLK_REQUEST.write, sector: 8 * index, output });
  });
  for (const { parts } of writes) driver.offer(0, parts);
  await until("some requests to be done", () => driver.queue(0).usedIndex() > 1);
  await bench.backEnd.kill();
  expect(driver.queue(0).usedIndex()).toBeLessThan(writes.length);
  const more = driver.prepare({ type: BLK_REQUEST.flush });
  driver.offer(0, more.parts);
  await bench.backEnd.start();
  await driver.takeUsed(0, writes.length + 1);
  const statuses = [...writes, more].map((request) => driver.statusOf(request));
  expect(new Set(statuses)).toEqual(new Set([BLK_STATUS.ok]));
  const expected = Buffer.concat(writes.map((_, index) => pattern(index, 4096)));
  expect(disk.image().subarray(0, expected.length)).toEqual(expected);
  const info = bench.machine.core.read("device_back_end", transport.device, BackEndInfoLayout);
  expect(info).toMatchObject({ isUp: 1, lossCount: 1, cause: BackEndCause.closed });
});

withDaemon("tells its guest when a back end comes back with a disk of another size", async () => {
  await using disk = await diskOf();
  const { bench, driver, transport } = disk;
  driver.start();
  await bench.backEnd.kill();
  truncateSync(bench.folder.file("disk.img"), 2 * DISK_SIZE);
  await bench.backEnd.start();
  await until("the size", () => transport.readConfig(0, 8) === BigInt((2 * DISK_SIZE) / 512));
  await until("the interrupt", () => (transport.read(REGISTER.interruptStatus) & 2) !== 0);
  expect(await driver.write(DISK_SIZE / 512, pattern(9, 512))).toBe(BLK_STATUS.ok);
});

withDaemon("passes the cache mode on, and it survives the back end", async () => {
  await using disk = await diskOf();
  const { driver, transport } = disk;
  driver.start({ features: BLK_FEATURE.flush | CONFIG_WRITE_BACK });
  const before = transport.readConfig(32, 1);
  transport.writeConfig(32, 1, 1n - before);
  await until("the mode", () => transport.readConfig(32, 1) === 1n - before);
  expect(await driver.write(0, pattern(1, 512))).toBe(BLK_STATUS.ok);
  expect(transport.readConfig(32, 1)).toBe(1n - before);
});
