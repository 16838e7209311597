// Reset of any virtio device, at each stage and in the middle of its work (virtio 1.2, 2.4).

import { expect, test } from "bun:test";
import type { VirtioModel } from "../../support/virtio_model.ts";
import { STATUS, type TransportKind } from "../../support/virtio_transport.ts";
import { Bench } from "./conformance.case.ts";

const INTRODUCED = STATUS.acknowledge | STATUS.driver;

type Stage = readonly [string, (bench: Bench) => void | Promise<void>];

const STAGES: readonly Stage[] = [
  ["before anything", () => {}],
  ["after ACKNOWLEDGE", ({ driver }) => driver.transport.writeStatus(STATUS.acknowledge)],
  ["after DRIVER", ({ driver }) => driver.transport.writeStatus(INTRODUCED)],
  ["after FEATURES_OK", ({ driver }) => driver.negotiate(0n)],
  [
    "with queues ready",
    ({ driver, model }) => {
      driver.negotiate(0n);
      driver.setUpQueue(model.workQueue);
    },
  ],
  ["after DRIVER_OK", (bench) => bench.start()],
  [
    "after work",
    async (bench) => {
      bench.start();
      await bench.work();
    },
  ],
  [
    "when it is broken",
    (bench) => {
      bench.start();
      bench.driver.queue(bench.model.workQueue).setAvailableIndex(0x7000);
      bench.driver.transport.notify(bench.model.workQueue);
    },
  ],
];

export function resetCases(model: VirtioModel, kind: TransportKind): void {
  test.each(STAGES)("is as new after a reset %s", async (_name, reach) => {
    using bench = new Bench(model, kind);
    const { transport } = bench.driver;
    await reach(bench);
    transport.writeStatus(0);
    expect(transport.status()).toBe(0);
    expect(transport.interruptStatus()).toBe(0);
    expect(transport.isQueueReady(model.workQueue)).toBe(false);
    bench.start();
    await bench.work();
    expect(bench.driver.needsReset).toBe(false);
  });

  test("touches no memory after a reset in the middle of its work", async () => {
    using bench = new Bench(model, kind);
    const { driver, machine } = bench;
    for (let round = 0; round < 50; round += 1) {
      bench.start();
      const queue = driver.queue(model.workQueue);
      const parts = Array.from({ length: 8 }, () => model.work(driver));
      for (const chain of parts) queue.add(chain);
      queue.publish();
      driver.transport.notify(model.workQueue);
      driver.transport.writeStatus(0);
      const buffers = parts.flat().filter((part) => part.writable);
      for (const buffer of buffers) {
        machine.ram.write(buffer.address, new Uint8Array(buffer.length).fill(0x5a));
      }
      const usedAfterReset = queue.usedIndex();
      bench.start();
      await bench.work();
      const changed = buffers.filter((buffer) =>
        machine.ram.read(buffer).some((byte) => byte !== 0x5a),
      );
      expect(changed).toEqual([]);
      expect(queue.usedIndex()).toBe(usedAfterReset);
    }
  });

  test("can be reset a hundred times in a row with its device destroyed at the end", () => {
    using bench = new Bench(model, kind);
    for (let round = 0; round < 100; round += 1) {
      bench.start();
      bench.driver.offer(model.workQueue, model.work(bench.driver));
      bench.driver.transport.writeStatus(0);
    }
    bench.start();
    bench.driver.offer(model.workQueue, model.work(bench.driver));
    bench.machine.core.publishMap([]);
    bench.machine.core.destroyDevice(bench.driver.transport.device);
    expect(() => bench.driver.transport.interruptCount()).toThrow("stale");
  });
}
