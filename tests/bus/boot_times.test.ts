// The report of a start: steps in order from one clock, in the log when the guest writes its marks
// (guidebook chapter 8); and the address map that QMP's query-mem writes there.

import "../support/core_library.ts";
import { expect, test } from "bun:test";
import { Space } from "../../src/core/abi.gen.ts";
import type { Log } from "../../src/host/log.ts";
import { assemble } from "../../src/machine/assemble.ts";
import { BootClock, describeBootTimes } from "../../src/machine/boot_times.ts";
import { Machine } from "../../src/machine/machine.ts";
import { configOf } from "../options/run.ts";
import { RecordingLog } from "../support/recording_log.ts";
import { until } from "../support/until.ts";

const DEBUG_PORT = 0x3ff;
const MS = 1e6;
const none = { kernelEnteredNs: 0, bootCompleteNs: 0 };

async function testMachine(log: Log) {
  const config = configOf("-machine microvm,accel=test -m 128M");
  const assembly = assemble(config);
  const machine = await Machine.create(assembly, config, log);
  const write = (value: number) => assembly.core.busWrite(Space.pio, DEBUG_PORT, 1, BigInt(value));
  return { machine, assembly, write, [Symbol.dispose]: () => machine.close() };
}

test("steps count from exec where that is known, and are in order", () => {
  const nowNs = performance.now() * MS + 100 * MS;
  const clock = new BootClock(nowNs, () => 60 * MS);
  clock.guestStarts();
  const enteredNs = nowNs + 5_000 * MS;
  const { origin, steps } = clock.times({ kernelEnteredNs: enteredNs, bootCompleteNs: 0 });
  expect(origin).toBe("exec");
  expect(Object.keys(steps)).toEqual([
    "runtime-ready",
    "machine-built",
    "guest-started",
    "kernel-entered",
  ]);
  expect(Object.values(steps)).toEqual(Object.values(steps).toSorted((a, b) => a - b));
  expect(steps["kernel-entered"]).toBe(Math.round((enteredNs - 60 * MS) / 1e3));
});

test("without the time of exec they count from the runtime's start", () => {
  const clock = new BootClock(performance.now() * MS, () => undefined);
  const { origin, steps } = clock.times(none);
  expect(origin).toBe("runtime");
  expect(Object.keys(steps)).toEqual(["runtime-ready", "machine-built"]);
});

test("a paused guest has not started, and starting twice keeps the first time", () => {
  const clock = new BootClock(performance.now() * MS, () => undefined);
  expect(clock.times(none).steps).not.toHaveProperty("guest-started");
  clock.guestStarts();
  const first = clock.times(none);
  clock.guestStarts();
  expect(clock.times(none)).toEqual(first);
});

test("the log's line names each step in milliseconds", () => {
  const steps = { "runtime-ready": 9400, "kernel-entered": 31_050 };
  expect(describeBootTimes({ origin: "exec", steps })).toBe(
    "boot times: runtime-ready 9.4 ms, kernel-entered 31.1 ms after exec",
  );
});

test("each mark is reported once, however often the guest writes it", async () => {
  const log = new RecordingLog();
  using bench = await testMachine(log);
  bench.write(1);
  await until("the first report", () => log.lines.length === 1);
  expect(log.lines[0]).toContain("kernel-entered");
  expect(bench.machine.bootTimes().steps).not.toHaveProperty("boot-complete");
  bench.write(1);
  bench.write(77);
  bench.write(2);
  await until("the second report", () => log.lines.length === 2);
  expect(log.lines[1]).toContain("boot-complete");
  expect(bench.machine.bootTimes().steps).toHaveProperty("boot-complete");
});

test("guest memory is read where there is some, and nowhere else", async () => {
  using bench = await testMachine(new RecordingLog());
  bench.assembly.core.writeMemory(0x1000, Uint8Array.of(1, 2, 3, 4));
  expect(bench.machine.readMemory(0x1000, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
  expect(bench.machine.readMemory(128 * 2 ** 20 - 2, 4)).toBeUndefined();
  expect(bench.machine.readMemory(0xffff_ffff_ffff, 4)).toBeUndefined();
});

test("query-mem's lines have RAM and every window of the board", async () => {
  const log = new RecordingLog();
  using bench = await testMachine(log);
  bench.machine.logMemory();
  expect(log.lines[0]).toBe("memory 0x0-0x7ffffff RAM");
  expect(log.lines).toContain("ports 0x3ff-0x3ff board");
  expect(log.lines.length).toBe(1 + bench.assembly.windows.length);
});
