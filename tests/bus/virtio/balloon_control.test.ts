// The balloon as QMP drives it, over a real device: sizes in bytes, and events at most once a
// second while the guest is at work (behaviour 2.2, 2.4).

import { expect, test } from "bun:test";
import { listenToDoorbell } from "../../../src/core/doorbell.ts";
import { Balloon } from "../../../src/machine/balloon.ts";
import { BalloonBench, PAGE } from "../../support/balloon_bench.ts";
import { until } from "../../support/until.ts";

const MEMORY = 256 * 2 ** 20;

/** A balloon with all that it has said. */
async function balloonOf(bench: BalloonBench) {
  const events: number[] = [];
  const balloon = new Balloon({
    core: bench.machine.core,
    device: bench.driver.transport.device,
    memoryBytes: MEMORY,
    onChange: (bytes) => events.push(bytes),
  });
  const doorbell = await listenToDoorbell(bench.machine.core, () => balloon.onNews());
  const close = () => {
    balloon.close();
    doorbell.close();
  };
  return { balloon, events, [Symbol.dispose]: close };
}

test("a target becomes pages for the guest and an event at once", async () => {
  using bench = new BalloonBench();
  using control = await balloonOf(bench);
  control.balloon.setTarget(MEMORY - 10 * PAGE);
  expect(bench.info.targetPageCount).toBe(10);
  control.balloon.setTarget(2 * MEMORY);
  expect(bench.info.targetPageCount).toBe(0);
  expect(control.events).toEqual([MEMORY - 10 * PAGE, MEMORY]);
  expect(control.balloon.actualBytes()).toBe(MEMORY);
});

test("a guest at work causes one event, a second later, with what it came to", async () => {
  using bench = new BalloonBench();
  using control = await balloonOf(bench);
  bench.start();
  const started = performance.now();
  for (let count = 1; count <= 100; count += 1) {
    bench.driver.transport.writeConfig(4, 4, BigInt(count));
  }
  expect(control.balloon.actualBytes()).toBe(MEMORY - 100 * PAGE);
  await until("the event", () => control.events.length > 0);
  expect(performance.now() - started).toBeGreaterThan(990);
  expect(control.events).toEqual([MEMORY - 100 * PAGE]);
  bench.driver.transport.writeConfig(4, 4, 50n);
  await until("the next event", () => control.events.length > 1);
  expect(control.events[1]).toBe(MEMORY - 50 * PAGE);
});

test("a guest that claims more than there is leaves nothing", async () => {
  using bench = new BalloonBench();
  using control = await balloonOf(bench);
  bench.driver.transport.writeConfig(4, 4, 0xffff_ffffn);
  expect(control.balloon.actualBytes()).toBe(0);
});
