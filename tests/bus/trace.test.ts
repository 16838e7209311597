// Trace events of a machine without a processor: what they say, in the log and in the kernel's
// trace marker, and that nobody waits for either.

import "../support/core_library.ts";
import { afterEach, describe, expect, test } from "bun:test";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import { ModelKind, Space } from "../../src/core/abi.gen.ts";
import { takeTraceRecords } from "../../src/core/trace.ts";
import { TRACE_EVENTS } from "../../src/core/trace_events.gen.ts";
import { Trace } from "../../src/host/trace.ts";
import { findTracefs, startTrace, traceEventList } from "../../src/host/trace_start.ts";
import { tracePoint } from "../../src/trace_point.ts";
import { BlkDriver } from "../support/blk_driver.ts";
import { BusMachine } from "../support/bus_machine.ts";
import { diskOn } from "../support/disk.ts";
import { MmioTransport } from "../support/mmio_transport.ts";
import { RecordingLog } from "../support/recording_log.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";

const SERIAL_PORT = 0x3f8;
/** More than the ring holds (zig/limits.zig). */
const FLOOD_COUNT = 10_000;

const opened: Disposable[] = [];
afterEach(() => {
  for (const each of opened.splice(0).reverse()) each[Symbol.dispose]();
});

function use<T extends Disposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

function useTrace(log: RecordingLog, markerFd?: number): Trace {
  const trace = new Trace(log, markerFd);
  use({ [Symbol.dispose]: () => trace.close() });
  return trace;
}

function serialMachine(): BusMachine {
  const machine = use(new BusMachine());
  machine.addPorts(machine.core.createDevice({ model: ModelKind.serial }), SERIAL_PORT, 8);
  return machine;
}

describe("events that are on", () => {
  test("are lines with their arguments, their own time and thread", () => {
    const log = new RecordingLog("trace");
    const trace = useTrace(log);
    trace.set("^(serial_write|address_space_read)$", "on");
    const machine = serialMachine();
    const before = BigInt(Date.now()) * 1_000_000n;
    machine.writePort(SERIAL_PORT, 0x41);
    machine.readPort(SERIAL_PORT + 5);
    trace.drain();
    expect(log.traced).toEqual([
      "[serial_write] addr=0x0 value=0x41",
      `[address_space_read] space=${Space.pio} addr=0x3fd count=1 value=0x60`,
    ]);
    expect(log.origins.map((origin) => origin?.threadId)).toEqual([process.pid, process.pid]);
    expect((log.origins[0]?.timeNs ?? 0n) >= before).toBe(true);
  });

  test("leave nothing any more when they are off again", () => {
    const log = new RecordingLog("trace");
    const trace = useTrace(log);
    const machine = serialMachine();
    expect(trace.set("^serial_write$", "on")).toBe(1);
    machine.writePort(SERIAL_PORT, 0x41);
    trace.set("serial", "off");
    machine.writePort(SERIAL_PORT, 0x42);
    trace.drain();
    expect(log.traced).toEqual(["[serial_write] addr=0x0 value=0x41"]);
  });

  test("tell a disk request's way from the ring to the interrupt, by the disk's name", async () => {
    const log = new RecordingLog("trace");
    const trace = useTrace(log);
    const machine = use(new BusMachine());
    const folder = use(new TemporaryFolder());
    const disk = diskOn(machine, folder.file("disk"), new Uint8Array(4096));
    const transport = new MmioTransport(machine, disk);
    const driver = new BlkDriver(transport, machine.ram);
    driver.start();
    trace.nameDevices(new Map([[transport.device, "rootfs"]]));
    trace.set("^virt(io_blk|io_receive|queue)|^block_read", "on");
    await driver.read(2, 512);
    await until("the interrupt", () => transport.interruptCount() === 1);
    trace.drain();
    const names = log.traced.map((line) => line.slice(1, line.indexOf("]")));
    // The one of the start may come late.
    expect(names.slice(names.lastIndexOf("virtio_receive_request"))).toEqual([
      "virtio_receive_request",
      "virtqueue_pop_avail",
      "virtio_blk_execute",
      "block_read_vectored",
      "virtio_blk_complete_request",
      "virtio_blk_complete_one_request",
      "virtqueue_add_used",
      "virtqueue_send_interrupt",
    ]);
    expect(log.traced).toContain("[virtio_receive_request] device=rootfs queue=0");
    expect(log.traced).toContain(
      "[virtio_blk_execute] device=rootfs operation=0 len=1 offset=1024",
    );
    const threads = new Set(log.origins.map((origin) => origin?.threadId));
    expect([...threads]).toEqual([machine.core.threadId(0)]);
  });

  test("include scopes, which tell how long they took", () => {
    const log = new RecordingLog("trace");
    const trace = useTrace(log);
    trace.setKind("scope", "on");
    use(new BusMachine());
    trace.drain();
    expect(log.traced[0]).toMatch(/^\[init_memory\] addr=0x0 size=33554432 duration_ns=[1-9]\d*$/);
  });

  test("of the control plane come in their place", () => {
    const log = new RecordingLog("trace");
    const trace = useTrace(log);
    trace.set("^(vm_state|serial_write)$", "on");
    const machine = serialMachine();
    machine.writePort(SERIAL_PORT, 1);
    tracePoint("vm_state", { state: "paused" });
    machine.writePort(SERIAL_PORT, 2);
    tracePoint("qmp_event", { event: "STOP" });
    trace.drain();
    expect(log.traced).toEqual([
      "[serial_write] addr=0x0 value=0x1",
      "[vm_state] state=paused",
      "[serial_write] addr=0x0 value=0x2",
    ]);
  });

  test("are counted when the log is too slow for them, and the guest does not wait", () => {
    const log = new RecordingLog("trace");
    const trace = useTrace(log);
    trace.set("^serial_write$", "on");
    const machine = serialMachine();
    for (let count = 0; count < FLOOD_COUNT; count += 1) machine.writePort(SERIAL_PORT + 1, 0);
    let kept = 0;
    let batch = takeTraceRecords();
    const { lostCount } = batch;
    while (batch.records.length > 0) {
      kept += batch.records.length;
      batch = takeTraceRecords();
    }
    expect(kept + lostCount).toBe(FLOOD_COUNT);
    trace.drain();
    expect(log.traced).toEqual([`${lostCount} trace events found no room and are lost`]);
  });
});

test("the kernel's trace marker gets one line an event, and the log none", () => {
  const folder = use(new TemporaryFolder());
  const marker = folder.file("trace_marker");
  writeFileSync(marker, "");
  const log = new RecordingLog("trace");
  const trace = useTrace(log, openSync(marker, "a"));
  trace.set("^(serial_write|vm_state)$", "on");
  const machine = serialMachine();
  machine.writePort(SERIAL_PORT, 0x41);
  tracePoint("vm_state", { state: "running" });
  expect(readFileSync(marker, "latin1")).toBe(
    "[serial_write] addr=0x0 value=0x41\n[vm_state] state=running\n",
  );
  trace.close();
  machine.writePort(SERIAL_PORT, 0x42);
  expect(readFileSync(marker, "latin1").split("\n").length).toBe(3);
  expect(log.traced).toEqual([]);
});

test("tracefs is found by the list of mounts", () => {
  const folder = use(new TemporaryFolder());
  writeFileSync(folder.file("trace_marker"), "");
  const root = folder.file("").replace(/\/$/, "");
  expect(findTracefs(`proc /proc proc rw 0 0\nnodev ${root} tracefs rw 0 0\n`)).toBe(root);
});

describe("-trace", () => {
  const none = { file: undefined, type: undefined, backend: "log" } as const;

  test("reads a file with one expression a line, and says which fit nothing", () => {
    const folder = use(new TemporaryFolder());
    const file = folder.file("events");
    writeFileSync(
      file,
      "# what the serial port does\n\n^serial_read$\nserial_wr\nusb_xhci_reset\n",
    );
    const log = new RecordingLog("trace");
    const trace = startTrace({ ...none, file }, log);
    use({ [Symbol.dispose]: () => trace.close() });
    const on = trace.states(".*").filter(({ state }) => state);
    expect(on.map(({ name }) => name)).toEqual(["serial_read", "serial_write"]);
    expect(log.warnings).toEqual([`-trace file '${file}': no event fits 'usb_xhci_reset'`]);
    expect(log.errors).toEqual([]);
  });

  test.each([
    ["all", Object.keys(TRACE_EVENTS).length],
    ["scopes", Object.values(TRACE_EVENTS).filter(({ kind }) => kind === "scope").length],
    ["events", Object.values(TRACE_EVENTS).filter(({ kind }) => kind === "event").length],
  ] as const)("type=%s switches these on", (type, count) => {
    const trace = startTrace({ ...none, type }, new RecordingLog("trace"));
    use({ [Symbol.dispose]: () => trace.close() });
    expect(trace.states("").filter(({ state }) => state).length).toBe(count);
  });

  test("says so when the log's level hides it all", () => {
    const log = new RecordingLog();
    const trace = startTrace({ ...none, type: "all" }, log);
    use({ [Symbol.dispose]: () => trace.close() });
    expect(log.errors).toEqual([
      "-trace shows nothing: set STRATOVIRT_LOG_LEVEL=trace, or use backend=ftrace",
    ]);
  });

  test("refuses a file that is not there, and a line that is no expression", () => {
    const folder = use(new TemporaryFolder());
    const file = folder.file("events");
    expect(() => startTrace({ ...none, file }, new RecordingLog())).toThrow(
      `The file '${file}' (-trace) cannot be read (ENOENT); check the path.`,
    );
    writeFileSync(file, "serial(\n");
    expect(() => startTrace({ ...none, file }, new RecordingLog())).toThrow(
      /^The trace pattern 'serial\(' is bad: .*; give a regular expression like \^virtio_blk_\.$/,
    );
  });
});

describe("the list of events", () => {
  const names = Object.keys(TRACE_EVENTS);

  test("is what -trace help shows", () => {
    const text = traceEventList();
    expect(names.filter((name) => !text.includes(`  ${name}(`))).toEqual([]);
  });

  test("has no event that nothing sends", async () => {
    const texts = await Promise.all(
      [...new Bun.Glob("{zig,src}/**/*.{zig,ts}").scanSync(checkout)]
        .filter((path) => !path.includes("trace_events") && !path.endsWith("trace/events.zig"))
        .map((path) => Bun.file(join(checkout, path)).text()),
    );
    const all = texts.join("\n");
    const isSent = (name: string) =>
      new RegExp(`\\.(emit|end)\\(\\.${name},|tracePoint\\("${name}"`).test(all);
    expect(names.filter((name) => !isSent(name))).toEqual([]);
  });
});
