// Slots of a microvm that get and lose their back ends while a guest's drivers use them.

import { describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { openTap } from "../../src/backends/tap.ts";
import { BLK_REQUEST, BLK_STATUS, BlkDriver, STATUS_UNTOUCHED } from "../support/blk_driver.ts";
import { FIRST_NETWORK_SLOT, HotBench } from "../support/hot_bench.ts";
import {
  frameTo,
  NET_FEATURE,
  NetDriver,
  RECEIVE,
  SEND,
  withHeader,
} from "../support/net_driver.ts";
import { TestNetwork, whyNoNetwork } from "../support/network.ts";
import { processFacts } from "../support/process_facts.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";
import { INTERRUPT } from "../support/virtio_transport.ts";

const KIB = 1024;
const DISK_SIZE = 1024 * KIB;
const SECTOR = 512;
const plain = { direct: false } as const;

/** A file of random bytes. */
function image(folder: TemporaryFolder, name: string, size = DISK_SIZE): string {
  const path = folder.file(name);
  writeFileSync(path, randomBytes(size));
  return path;
}

function checksum(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function startDisk(bench: HotBench, slot = 0): BlkDriver {
  const driver = new BlkDriver(bench.transport(slot), bench.ram);
  driver.start({ features: driver.transport.offeredFeatures() });
  return driver;
}

function capacityOf(driver: BlkDriver): number {
  return Number(driver.transport.readConfig(0, 8)) * SECTOR;
}

describe("a slot for disks", () => {
  test("is a disk without sectors that fails what is asked of it", async () => {
    using bench = await HotBench.create();
    const driver = startDisk(bench);
    expect(driver.transport.deviceType()).toBe(2);
    expect(capacityOf(driver)).toBe(0);
    const input = [bench.ram.allocate(SECTOR)];
    expect(await driver.request({ type: BLK_REQUEST.read, input })).toBe(BLK_STATUS.ioError);
    expect(await driver.flush()).toBe(BLK_STATUS.ioError);
    expect(bench.core.deviceInfo(driver.transport.device).errorCount).toBe(0);
  });

  const engines = [
    plain,
    { aio: "io_uring" },
    { aio: "native" },
    { aio: "io_uring", direct: false },
  ];
  test.each(engines)("gets a file with %j and loses it again", async (keys) => {
    using folder = new TemporaryFolder();
    using bench = await HotBench.create();
    const file = image(folder, "disk");
    const driver = startDisk(bench);
    const generation = driver.transport.configGeneration();
    bench.addDisk("d", { file, ...keys }, "0x0");
    expect(driver.transport.interruptStatus() & INTERRUPT.config).toBe(INTERRUPT.config);
    expect(driver.transport.configGeneration()).toBe(generation + 1);
    expect(capacityOf(driver)).toBe(DISK_SIZE);
    expect(checksum(await driver.read(0, DISK_SIZE))).toBe(checksum(readFileSync(file)));
    expect(await driver.write(8, randomBytes(4 * KIB))).toBe(BLK_STATUS.ok);
    expect(await driver.flush()).toBe(BLK_STATUS.ok);
    bench.slots.removeDevice("d");
    expect(capacityOf(driver)).toBe(0);
    const input = [bench.ram.allocate(SECTOR)];
    expect(await driver.request({ type: BLK_REQUEST.read, input })).toBe(BLK_STATUS.ioError);
    const deleted = { name: "DEVICE_DELETED", data: { device: "d", path: "d" } } as const;
    expect(bench.events).toEqual([deleted]);
  });

  test("gives what is asked of it one end each while its file comes and goes", async () => {
    using folder = new TemporaryFolder();
    using bench = await HotBench.create();
    const file = image(folder, "disk");
    const content = readFileSync(file);
    const driver = startDisk(bench);
    const ends: number[] = [];
    const rounds = Array.from({ length: 20 }, () => ["native", ...Array(9).fill("io_uring")]);
    for (const aio of rounds.flat()) {
      bench.addDisk("d", { file, aio });
      const requests = Array.from({ length: 20 }, (_, index) => {
        const sector = index * 8;
        const output = [bench.ram.place(content.subarray(sector * SECTOR, (sector + 8) * SECTOR))];
        return driver.prepare({ type: BLK_REQUEST.write, sector, output });
      });
      for (const { parts } of requests) driver.offer(0, parts);
      bench.slots.removeDevice("d");
      await driver.takeUsed(0, requests.length);
      ends.push(...requests.map((request) => driver.statusOf(request)));
    }
    expect(ends).not.toContain(STATUS_UNTOUCHED);
    expect(new Set([...ends, BLK_STATUS.ioError])).toEqual(
      new Set([BLK_STATUS.ok, BLK_STATUS.ioError]),
    );
    expect(driver.needsReset).toBe(false);
    expect(checksum(readFileSync(file))).toBe(checksum(content));
  }, 30_000);

  test("obeys the keys of blockdev-add and device_add", async () => {
    using folder = new TemporaryFolder();
    using bench = await HotBench.create();
    const driver = startDisk(bench, 2);
    const file = image(folder, "disk");
    bench.slots.addDrive({
      ...{ id: "d", file, readonly: true, direct: false, aio: "off", format: "raw" },
      ...{ discard: false, detectZeroes: "off", iopsLimit: 1000 },
    });
    bench.slots.addDevice({
      ...{ id: "x", kind: "block", backendIds: ["d"], slot: 2, serial: "S-1" },
      ...{ mac: undefined, iothread: undefined },
    });
    expect(await driver.write(0, new Uint8Array(SECTOR))).toBe(BLK_STATUS.ioError);
    const range = [bench.ram.allocate(16)];
    const discard = { type: BLK_REQUEST.discard, output: range };
    expect(await driver.request(discard)).toBe(BLK_STATUS.unsupported);
    const id = bench.ram.allocate(20);
    expect(await driver.request({ type: BLK_REQUEST.getId, input: [id] })).toBe(BLK_STATUS.ok);
    expect(Buffer.from(bench.ram.read(id)).toString()).toStartWith("S-1\0");
  });

  test("can lose the file that it started with, and get another", async () => {
    using folder = new TemporaryFolder();
    const [first, second] = [image(folder, "first"), image(folder, "second", 2 * DISK_SIZE)];
    const drive = `-drive id=d,file=${first},direct=off -device virtio-blk-device,drive=d,id=disk`;
    using bench = await HotBench.create(drive);
    const driver = startDisk(bench);
    expect(capacityOf(driver)).toBe(DISK_SIZE);
    bench.slots.removeDevice("disk");
    bench.addDisk("disk", { file: second, ...plain });
    expect(capacityOf(driver)).toBe(2 * DISK_SIZE);
    const content = await driver.read(0, 2 * DISK_SIZE);
    expect(checksum(content)).toBe(checksum(readFileSync(second)));
    bench.addDisk("other", { file: first, ...plain });
    expect(capacityOf(startDisk(bench, 1))).toBe(DISK_SIZE);
  });

  test("survives a guest without manners while its file comes and goes", async () => {
    using folder = new TemporaryFolder();
    using bench = await HotBench.create();
    const file = image(folder, "disk");
    for (let round = 0; round < 100; round += 1) {
      const driver = startDisk(bench);
      bench.addDisk("d", { file, aio: "io_uring" });
      for (let chain = 0; chain < 8; chain += 1) {
        const parts = [bench.ram.place(randomBytes(16)), bench.ram.place(randomBytes(600))];
        driver.offer(0, [
          ...parts.map((part) => ({ ...part, writable: false })),
          { address: round * 2 ** 22, length: 2 ** 31, writable: true },
        ]);
      }
      bench.slots.removeDevice("d");
    }
    const driver = startDisk(bench);
    bench.addDisk("d", { file, ...plain });
    expect((await driver.read(0, SECTOR)).length).toBe(SECTOR);
  });
});

describe("refusals", () => {
  test("say what is wrong, and change nothing", async () => {
    using folder = new TemporaryFolder();
    using bench = await HotBench.create("-device virtio-balloon-device,id=b");
    const [one, two] = [image(folder, "one"), image(folder, "two")];
    bench.addDisk("a", { file: one, ...plain }, "1");
    const names = bench.deviceNames();
    const inUse = `The disk '${one}' of drive 'x' is in use by another machine; `;
    expect(() => bench.addDisk("x", { file: one, ...plain })).toThrow(inUse);
    expect(() => bench.addDisk("a", { file: two, ...plain })).toThrow(
      "The drive 'a' exists already; ids are unique.",
    );
    expect(() => bench.addDisk("y", { file: two, ...plain }, "0x1")).toThrow(
      "The slot 1 for disks is taken by 'a'; give 'y' another addr.",
    );
    expect(() => bench.slots.removeDrive("a")).toThrow("The drive 'a' is used by 'a'");
    expect(() => bench.slots.removeDevice("b")).toThrow(
      "The device 'b' cannot be removed while the machine runs",
    );
    expect(() => bench.slots.removeDevice("aa")).toThrow(
      "There is no device 'aa'. Did you mean 'a'?",
    );
    expect(() => bench.slots.removeNetdev("n")).toThrow(
      "There is no netdev 'n'. netdev_add makes one.",
    );
    expect(bench.deviceNames()).toEqual(names);
    bench.slots.removeDrive("y");
    bench.addDisk("y", { file: two, ...plain }, "0x2");
  });

  test("come when all slots and all places for back ends are taken", async () => {
    using folder = new TemporaryFolder();
    using bench = await HotBench.create();
    for (let slot = 0; slot < 4; slot += 1) {
      bench.addDisk(`d${slot}`, { file: image(folder, `d${slot}`), ...plain });
    }
    const fifth = { file: image(folder, "fifth"), ...plain };
    expect(() => bench.addDisk("e", fifth)).toThrow(
      "All slots for disks are taken; device_del frees one for 'e'.",
    );
    for (let count = 1; count < 6; count += 1) {
      const file = image(folder, `spare${count}`);
      expect(() => bench.addDisk(`s${count}`, { file, ...plain })).toThrow("All slots");
    }
    expect(() => bench.addDisk("z", { file: image(folder, "z"), ...plain })).toThrow(
      "There are 6 back ends without a device, as many as there are slots; ",
    );
  });
});

test("1,000 disks that come and go leave nothing", async () => {
  using folder = new TemporaryFolder();
  using bench = await HotBench.create();
  const file = image(folder, "disk");
  const cycle = (count: number) => {
    for (let round = 0; round < count; round += 1) {
      bench.addDisk(`d${round % 9}`, { file, aio: "io_uring" });
      bench.slots.removeDevice(`d${round % 9}`);
      bench.slots.removeDrive(`d${round % 9}`);
    }
  };
  cycle(20);
  const before = processFacts();
  cycle(1000);
  const after = processFacts();
  expect(after.descriptorCount).toBe(before.descriptorCount);
  expect(after.threadCount).toBe(before.threadCount);
  expect(after.mappingCount).toBeLessThan(before.mappingCount + 20);
  expect(after.residentBytes).toBeLessThan(before.residentBytes + 32 * KIB * KIB);
  expect(() => bench.slots.removeDrive("d0")).toThrow("There is no drive 'd0'.");
}, 60_000);

const EXPERIMENT = 0x88b5;
const NAME = `sh${process.pid}`;
const GIVEN_MAC = "52:54:00:aa:bb:cc";
const FIRST_MAC = "52:54:00:12:34:56";

describe.skipIf(whyNoNetwork() !== undefined)("a slot for networks", () => {
  /** A queue of a tap that somebody else has opened. */
  function openedTap(bench: HotBench, network: TestNetwork, name = NAME): number {
    const source = { id: "t", queues: 1, tap: { kind: "interface", name } } as const;
    return network.inside(() => openTap(bench.core, source, 1)).fds[0] ?? -1;
  }

  function startCard(bench: HotBench, slot = 0): NetDriver {
    const driver = new NetDriver(bench.transport(FIRST_NETWORK_SLOT + slot), bench.ram);
    const { status, control, mac } = NET_FEATURE;
    driver.start({ features: status | control | mac, queueCount: 3 });
    return driver;
  }

  const hasLink = (driver: NetDriver) => driver.transport.readConfig(6, 2) === 1n;
  const macOf = (driver: NetDriver) =>
    Array.from({ length: 6 }, (_, byte) => driver.transport.readConfig(byte, 1))
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join(":");

  test("is a card without a link that loses what is sent", async () => {
    using bench = await HotBench.create();
    const driver = startCard(bench);
    expect([driver.transport.deviceType(), hasLink(driver)]).toEqual([1, false]);
    expect(macOf(driver)).toBe(FIRST_MAC);
    expect(macOf(startCard(bench, 1))).toBe("52:54:00:12:34:57");
    await driver.run(SEND, driver.sending(withHeader(frameTo(GIVEN_MAC))));
    expect(bench.core.deviceInfo(driver.transport.device).errorCount).toBe(0);
  });

  test("gets a tap by descriptor, passes frames, loses it and gets another", async () => {
    using bench = await HotBench.create();
    const network = new TestNetwork(bench);
    const driver = startCard(bench);
    driver.offerBuffers(64, 1600);
    for (const round of [0, 1, 2]) {
      const name = `${NAME}${round}`;
      bench.addCard("n", openedTap(bench, network, name), GIVEN_MAC);
      expect(driver.transport.interruptStatus() & INTERRUPT.config).toBe(INTERRUPT.config);
      expect([hasLink(driver), macOf(driver)]).toEqual([true, GIVEN_MAC]);
      const wire = network.listen(name, EXPERIMENT);
      driver.offer(SEND, driver.sending(withHeader(frameTo("52:54:00:99:99:99", 900))));
      expect(await wire.receive()).toEqual(frameTo("52:54:00:99:99:99", 900));
      await driver.takeUsed(SEND, 1);
      for (const target of [GIVEN_MAC, FIRST_MAC]) {
        expect(wire.send(frameTo(target, 1200, round))).toBe(true);
        expect((await driver.receive()).frame).toEqual(frameTo(target, 1200, round));
      }
      bench.slots.removeDevice("n");
      expect([hasLink(driver), macOf(driver)]).toEqual([false, FIRST_MAC]);
      await driver.run(SEND, driver.sending(withHeader(frameTo(GIVEN_MAC))));
    }
    expect(driver.needsReset).toBe(false);
  });

  test("can lose the tap that it started with", async () => {
    using outer = await HotBench.create();
    const network = new TestNetwork(outer);
    const fd = openedTap(outer, network);
    const line = `-netdev tap,id=n,fd=${fd} -device virtio-net-device,netdev=n,id=card`;
    using bench = await HotBench.create(line);
    const driver = startCard(bench);
    expect(hasLink(driver)).toBe(true);
    driver.offerBuffers(8, 1600, RECEIVE);
    bench.slots.removeDevice("card");
    expect(hasLink(driver)).toBe(false);
  });

  test("100 taps that come and go leave nothing", async () => {
    using bench = await HotBench.create();
    const network = new TestNetwork(bench);
    const driver = startCard(bench);
    driver.offerBuffers(8, 1600);
    const cycle = (count: number) => {
      for (let round = 0; round < count; round += 1) {
        bench.addCard("n", openedTap(bench, network));
        driver.transport.notify(RECEIVE);
        bench.slots.removeDevice("n");
      }
    };
    cycle(10);
    const before = processFacts();
    cycle(100);
    await until("all taps are gone", () => {
      return processFacts().descriptorCount === before.descriptorCount;
    });
    expect(processFacts().mappingCount).toBeLessThan(before.mappingCount + 20);
  }, 60_000);

  test("refuses what is no tap, and the descriptor stays its owner's", async () => {
    using bench = await HotBench.create();
    const fd = openSync("/dev/null", constants.O_RDWR);
    expect(() => bench.addCard("n", fd)).toThrow(
      `The descriptor ${fd} of netdev 'n' is not a tap; give the number of an opened tap queue.`,
    );
    closeSync(fd);
  });
});
