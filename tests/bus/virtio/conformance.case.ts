// What the virtio specification asks of every device on every transport (virtio 1.2, sections 2 and
// 3). The suite is run over the tables of models.ts by conformance.test.ts.

import { expect, test } from "bun:test";
import { BusMachine } from "../../support/bus_machine.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";
import { VirtioDriver } from "../../support/virtio_driver.ts";
import type { VirtioModel } from "../../support/virtio_model.ts";
import { FEATURE, INTERRUPT, STATUS, type TransportKind } from "../../support/virtio_transport.ts";
import { Virtqueue } from "../../support/virtqueue.ts";

/** One device of the model on its own machine. */
export class Bench implements Disposable {
  readonly folder = new TemporaryFolder();
  readonly machine: BusMachine;
  readonly model: VirtioModel;
  readonly driver: VirtioDriver;
  readonly #kind: TransportKind;

  constructor(model: VirtioModel, kind: TransportKind) {
    this.model = model;
    this.machine = new BusMachine(model.memory);
    this.#kind = kind;
    this.driver = this.addDevice();
  }

  addDevice(): VirtioDriver {
    const description = this.model.describe(this.machine, this.folder);
    return new VirtioDriver(this.#kind.attach(this.machine, description), this.machine.ram);
  }

  start(features = 0n, driver = this.driver): void {
    driver.start({ features, queueCount: this.model.queueCount });
  }

  /** Runs one chain; the test fails when it does not end. */
  async work(driver = this.driver): Promise<void> {
    await driver.run(this.model.workQueue, this.model.work(driver));
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

const INTRODUCED = STATUS.acknowledge | STATUS.driver;

export function identificationCases(model: VirtioModel, kind: TransportKind): void {
  test("says what it is and offers VERSION_1", () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    expect(transport.deviceType()).toBe(model.deviceType);
    expect(transport.offeredFeatures() & FEATURE.version1).toBe(FEATURE.version1);
    expect(transport.status()).toBe(0);
    expect(transport.interruptStatus()).toBe(0);
  });

  test("has its queues, each of a power of two, and no more", () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    const sizes = Array.from({ length: model.queueCount + 1 }, (_, queue) =>
      transport.queueSizeMax(queue),
    );
    const expected = Array.from({ length: model.queueCount }, () => model.queueSizeMax);
    expect(sizes).toEqual([...expected, 0]);
    expect(Math.log2(model.queueSizeMax) % 1).toBe(0);
  });

  test("shows the same config whatever the width, zeroes behind it, and takes no harm", () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    const before = transport.configGeneration();
    const word = transport.readConfig(0, 4);
    const bytes = [0, 1, 2, 3].map((offset) => transport.readConfig(offset, 1));
    expect(bytes.reduceRight((value, byte) => (value << 8n) | byte, 0n)).toBe(word);
    expect(transport.readConfig(model.configSize, 4)).toBe(0n);
    expect(transport.readConfig(0xf8, 8)).toBe(0n);
    transport.writeConfig(model.configSize, 8, 0xffff_ffff_ffff_ffffn);
    transport.writeConfig(0xff, 4, 0xffff_ffffn);
    expect(transport.readConfig(0, 4)).toBe(word);
    expect(transport.configGeneration()).toBe(before);
  });
}

export function featureCases(model: VirtioModel, kind: TransportKind): void {
  const negotiated = (bench: Bench, features: bigint): boolean => {
    const { transport } = bench.driver;
    transport.writeStatus(0);
    transport.writeStatus(STATUS.acknowledge);
    transport.writeStatus(INTRODUCED);
    transport.writeFeatures(features);
    transport.writeStatus(INTRODUCED | STATUS.featuresOk);
    return (transport.status() & STATUS.featuresOk) !== 0;
  };

  test("takes all that it offers, and VERSION_1 alone", () => {
    using bench = new Bench(model, kind);
    expect(negotiated(bench, bench.driver.transport.offeredFeatures())).toBe(true);
    expect(negotiated(bench, FEATURE.version1)).toBe(true);
  });

  test("refuses a driver without VERSION_1", () => {
    using bench = new Bench(model, kind);
    const offered = bench.driver.transport.offeredFeatures();
    expect(negotiated(bench, offered & ~FEATURE.version1)).toBe(false);
    expect(negotiated(bench, 0n)).toBe(false);
  });

  test("refuses each feature that it does not offer", () => {
    using bench = new Bench(model, kind);
    const offered = bench.driver.transport.offeredFeatures();
    const unknown = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit)).filter(
      (bit) => (offered & bit) === 0n,
    );
    const accepted = unknown.filter((bit) => negotiated(bench, offered | bit));
    expect(unknown.length).toBeGreaterThan(0);
    expect(accepted).toEqual([]);
  });

  test("lets a refused driver try again without a reset", () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    expect(negotiated(bench, 0n)).toBe(false);
    transport.writeFeatures(FEATURE.version1);
    transport.writeStatus(INTRODUCED | STATUS.featuresOk);
    expect(transport.status()).toBe(INTRODUCED | STATUS.featuresOk);
  });

  test("keeps what was negotiated when the driver writes features later", async () => {
    using bench = new Bench(model, kind);
    bench.driver.negotiate(0n);
    bench.driver.transport.writeFeatures(FEATURE.version1 | FEATURE.eventIndex);
    for (let queue = 0; queue < model.queueCount; queue += 1) bench.driver.setUpQueue(queue);
    bench.driver.finishStart();
    await bench.work();
    expect(bench.driver.queue(model.workQueue).availableEvent()).toBe(0);
  });
}

export function statusCases(model: VirtioModel, kind: TransportKind): void {
  test("goes through the steps of initialisation in order", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    expect(bench.driver.transport.status()).toBe(INTRODUCED | STATUS.featuresOk | STATUS.driverOk);
    await bench.work();
  });

  const outOfOrder: [string, number, number][] = [
    ["FEATURES_OK before DRIVER", STATUS.featuresOk, 0],
    ["FEATURES_OK before ACKNOWLEDGE", STATUS.driver | STATUS.featuresOk, STATUS.driver],
    ["DRIVER_OK before FEATURES_OK", INTRODUCED | STATUS.driverOk, INTRODUCED],
    ["DRIVER_OK alone", STATUS.driverOk, 0],
    ["NEEDS_RESET from the driver", INTRODUCED | STATUS.needsReset, INTRODUCED],
  ];
  test.each(outOfOrder)("ignores %s", (_name, written, expected) => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    transport.writeFeatures(FEATURE.version1);
    transport.writeStatus(written);
    expect(transport.status()).toBe(expected);
    bench.start();
    expect(bench.driver.needsReset).toBe(false);
  });

  test("does not forget a step that the driver leaves out of a later write", () => {
    using bench = new Bench(model, kind);
    bench.start();
    bench.driver.transport.writeStatus(STATUS.acknowledge);
    expect(bench.driver.transport.status() & STATUS.driverOk).toBe(STATUS.driverOk);
  });

  test("keeps FAILED until reset", () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    transport.writeStatus(INTRODUCED | STATUS.failed);
    expect(transport.status()).toBe(INTRODUCED | STATUS.failed);
    transport.writeStatus(0);
    expect(transport.status()).toBe(0);
  });

  test("takes no chain before DRIVER_OK, and all that wait at DRIVER_OK", async () => {
    using bench = new Bench(model, kind);
    const { driver } = bench;
    driver.negotiate(0n);
    const queue = driver.setUpQueue(model.workQueue);
    queue.add(model.work(driver));
    queue.publish();
    driver.transport.notify(model.workQueue);
    const other = bench.addDevice();
    bench.start(0n, other);
    await bench.work(other);
    expect(queue.usedIndex()).toBe(0);
    driver.finishStart();
    await driver.takeUsed(model.workQueue, 1);
  });
}

export function interruptCases(model: VirtioModel, kind: TransportKind): void {
  test("raises its interrupt for a used chain, until it is acknowledged", async () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    bench.start();
    await bench.work();
    await until("the interrupt", () => transport.interruptCount() > 0);
    expect(transport.interruptStatus()).toBe(INTERRUPT.queue);
    transport.acknowledgeInterrupt(INTERRUPT.config);
    expect(transport.interruptStatus()).toBe(INTERRUPT.queue);
    transport.acknowledgeInterrupt(INTERRUPT.queue);
    expect(transport.interruptStatus()).toBe(0);
  });

  test("raises none when the driver wants none", async () => {
    using bench = new Bench(model, kind);
    const { driver } = bench;
    bench.start();
    driver.queue(model.workQueue).wantInterrupts("unwanted");
    await bench.work();
    driver.queue(model.workQueue).wantInterrupts("wanted");
    await bench.work();
    await until("the interrupt", () => driver.transport.interruptCount() > 0);
    expect(driver.transport.interruptCount()).toBe(1);
  });

  const exact = test.skipIf(model.spuriousInterrupts !== undefined);
  exact("waits for the used index that the event index names", async () => {
    using bench = new Bench(model, kind);
    const { driver } = bench;
    bench.start(FEATURE.eventIndex);
    driver.queue(model.workQueue).setUsedEvent(2);
    for (let count = 0; count < 3; count += 1) await bench.work();
    await until("the interrupt", () => driver.transport.interruptCount() > 0);
    driver.queue(model.workQueue).setUsedEvent(0x8000);
    await bench.work();
    expect(driver.transport.interruptCount()).toBe(1);
    await until("the event index", () => {
      return driver.queue(model.workQueue).availableEvent() === 4;
    });
  });

  test("survives notifications of queues that are not there", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    for (const index of [model.queueCount, 0xffff, 0x1_0000, 0xffff_ffff]) {
      bench.driver.transport.notify(index);
    }
    await bench.work();
    expect(bench.driver.needsReset).toBe(false);
  });

  test("does all work of a notification that came before the chains", async () => {
    using bench = new Bench(model, kind);
    const { driver } = bench;
    bench.start();
    driver.transport.notify(model.workQueue);
    const queue = driver.queue(model.workQueue);
    for (let count = 0; count < 5; count += 1) queue.add(model.work(driver));
    queue.publish();
    driver.transport.notify(model.workQueue);
    await driver.takeUsed(model.workQueue, 5);
    await until("notifications wanted", () => queue.deviceWantsNotification());
  });
}

export function indirectCases(model: VirtioModel, kind: TransportKind): void {
  test("takes chains from indirect tables, many rounds over the ring", async () => {
    using bench = new Bench(model, kind);
    const { driver } = bench;
    bench.start(FEATURE.indirect | FEATURE.eventIndex);
    const queue = driver.queue(model.workQueue);
    for (let count = 0; count < 3 * model.queueSizeMax; count += 1) {
      queue.addIndirect(model.work(driver));
      queue.publish();
      driver.transport.notify(model.workQueue);
      await driver.takeUsed(model.workQueue, 1);
    }
    expect(driver.needsReset).toBe(false);
  });

  test("runs with rings of each size that is allowed", async () => {
    using bench = new Bench(model, kind);
    const { driver } = bench;
    const smallest = model.work(driver).length;
    for (let size = model.queueSizeMax; size >= smallest; size /= 2) {
      driver.start({ queueCount: model.queueCount, queueSize: size });
      for (let count = 0; count < 5; count += 1) await bench.work();
    }
    expect(driver.needsReset).toBe(false);
  });
}

const PAGE = 0x1000;

export function queueCases(model: VirtioModel, kind: TransportKind): void {
  const addressesOf = (bench: Bench) =>
    new Virtqueue(bench.machine.ram, model.queueSizeMax).addresses;
  type Addresses = ReturnType<typeof addressesOf>;
  const bad: [string, number, (good: Addresses, lowEnd: number) => Addresses][] = [
    ["a size of 0", 0, (good) => good],
    ["a size of 3", 3, (good) => good],
    ["a size over the maximum", 2 * model.queueSizeMax, (good) => good],
    ["a size of 2^31", 2 ** 31, (good) => good],
    ["a misaligned table", 8, (good) => ({ ...good, descriptors: good.descriptors + 8 })],
    ["a misaligned available ring", 8, (good) => ({ ...good, available: good.available + 1 })],
    ["a misaligned used ring", 8, (good) => ({ ...good, used: good.used + 2 })],
    ["a table outside memory", 8, (good) => ({ ...good, descriptors: 0x7000_0000 })],
    ["an available ring outside memory", 8, (good) => ({ ...good, available: 2 ** 45 })],
    ["a used ring outside memory", 8, (good) => ({ ...good, used: 0xf010_0000 })],
    ["a table across the end", 8, (good, end) => ({ ...good, descriptors: end - 64 })],
    ["an available ring across the end", 8, (good, end) => ({ ...good, available: end - 4 })],
    ["a used ring across the end", 8, (good, end) => ({ ...good, used: end - 8 })],
  ];

  test.each(bad)("asks for a reset when a queue gets %s, and works after it", async (...row) => {
    const [, size, change] = row;
    using bench = new Bench(model, kind);
    const { driver, machine } = bench;
    driver.negotiate(0n);
    const good = addressesOf(bench);
    const addresses = change(good, machine.lowMemoryEnd);
    driver.transport.writeQueue(model.workQueue, size, addresses);
    driver.transport.setQueueReady(model.workQueue, 1);
    expect(driver.needsReset).toBe(true);
    expect(driver.transport.isQueueReady(model.workQueue)).toBe(false);
    bench.start();
    await bench.work();
    expect(driver.needsReset).toBe(false);
  });

  test("ignores the set-up of a queue that is not there", async () => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    for (const queue of [model.queueCount, 0xffff, 0xffff_ffff]) {
      transport.writeQueue(queue, 8, addressesOf(bench));
      transport.setQueueReady(queue, 1);
      expect(transport.isQueueReady(queue)).toBe(false);
    }
    bench.start();
    await bench.work();
  });

  test("keeps a ready queue when the driver writes its addresses again", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    bench.driver.transport.writeQueue(model.workQueue, 3, {
      descriptors: 2 ** 45,
      available: 1,
      used: 1,
    });
    await bench.work();
    expect(bench.driver.needsReset).toBe(false);
  });

  test("takes rings that lie wherever there is memory", async () => {
    using bench = new Bench(model, kind);
    const { driver, machine } = bench;
    driver.negotiate(0n);
    const queue = new Virtqueue(machine.ram, 4);
    const high = machine.highMemoryStart;
    const addresses = {
      descriptors: machine.lowMemoryEnd - PAGE,
      available: high,
      used: high + PAGE,
    };
    Object.assign(queue.addresses, addresses);
    driver.queues[model.workQueue] = queue;
    driver.transport.writeQueue(model.workQueue, 4, addresses);
    driver.transport.setQueueReady(model.workQueue, 1);
    driver.finishStart();
    await bench.work();
    expect(driver.needsReset).toBe(false);
  });
}
