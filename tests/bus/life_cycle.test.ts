// The core holds nothing in globals and gives everything back: a thousand machines in one process.

import { expect, test } from "bun:test";
import { ModelKind } from "../../src/core/abi.gen.ts";
import { BlkBench } from "../support/blk_bench.ts";
import { BLK_REQUEST } from "../support/blk_driver.ts";
import { processFacts } from "../support/process_facts.ts";

const MACHINE_COUNT = 1000;
const MIB = 2 ** 20;

/** A machine with an iothread, consoles, one device of each model, and work in flight. */
function liveAndDie(): void {
  using bench = new BlkBench({ iothread: "own", content: new Uint8Array(4096), queueCount: 2 });
  const { core } = bench.machine;
  const chardev = core.createChardev({});
  const serial = core.createDevice({ model: ModelKind.serial, gsi: 4, chardev });
  bench.machine.addPorts(serial, 0x3f8, 7);
  for (const model of [ModelKind.cmos, ModelKind.i8042, ModelKind.power, ModelKind.debugPort]) {
    core.destroyDevice(core.createDevice({ model }));
  }
  bench.machine.writePort(0x3f8, 0x41);
  bench.driver.start();
  const input = [bench.driver.ram.allocate(4096)];
  bench.driver.offer(0, bench.driver.prepare({ type: BLK_REQUEST.read, input }).parts);
}

test("a thousand machines leave no descriptor, thread, mapping or memory", () => {
  for (let count = 0; count < 50; count += 1) liveAndDie();
  Bun.gc(true);
  const before = processFacts();
  for (let count = 0; count < MACHINE_COUNT; count += 1) liveAndDie();
  Bun.gc(true);
  const after = processFacts();
  expect(after.descriptorCount).toBe(before.descriptorCount);
  expect(after.threadCount).toBeLessThanOrEqual(before.threadCount + 1);
  expect(after.mappingCount - before.mappingCount).toBeLessThan(50);
  expect(after.residentBytes - before.residentBytes).toBeLessThan(32 * MIB);
}, 30_000);

test("many machines live at the same time, each with its own memory and clock", () => {
  const benches = Array.from({ length: 20 }, () => new BlkBench({}));
  benches.forEach(({ machine }, index) => {
    machine.ram.write(0x2000, Uint8Array.of(index));
    machine.core.moveClock(index);
  });
  const seen = benches.map(({ machine }) => [
    machine.ram.read({ address: 0x2000, length: 1 })[0],
    machine.core.clockNow(),
  ]);
  expect(seen).toEqual(benches.map((_, index) => [index, index]));
  for (const bench of benches) bench[Symbol.dispose]();
});

test("a core that was destroyed takes a second end, and refuses everything else by name", () => {
  const bench = new BlkBench({});
  bench.machine.core.destroy();
  bench.machine.core.destroy();
  expect(() => bench.machine.core.clockNow()).toThrow("destroyed");
  bench[Symbol.dispose]();
});
