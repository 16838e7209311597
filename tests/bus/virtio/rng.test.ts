// virtio-rng as a guest sees it: bytes from the host's device, at the limited rate, and sources
// that have none for now or at all (virtio 1.2, section 5.4; behaviour 4.10).

import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { openRandomSource } from "../../../src/backends/random_source.ts";
import { RngParamsLayout } from "../../../src/core/abi.gen.ts";
import { preparePty } from "../../../src/core/host_calls.ts";
import { decode } from "../../../src/core/struct.ts";
import { openRng, type RngConfig } from "../../../src/devices/virtio/rng.ts";
import { configOf } from "../../options/run.ts";
import { openSource, RngBench } from "../../support/rng_bench.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";

const MIB = 2 ** 20;

function differentBytes(bytes: Uint8Array): number {
  return new Set(bytes).size;
}

describe("requests", () => {
  test("fills every buffer of a chain with different bytes each time", async () => {
    using bench = new RngBench();
    bench.driver.start();
    const [first, second] = [await bench.ask([1, 511, 3000]), await bench.ask([1, 511, 3000])];
    expect([first.length, second.length]).toEqual([3512, 3512]);
    expect(first).not.toEqual(second);
    expect(differentBytes(first)).toBeGreaterThan(200);
  });

  test("gives at most a MiB at once, and goes on with the next chain", async () => {
    using bench = new RngBench();
    bench.driver.start();
    expect((await bench.ask([2 * MIB])).length).toBeWithin(1, MIB + 1);
    expect((await bench.ask([MIB])).length).toBeWithin(1, MIB + 1);
  });

  test("serves many chains of one notification that are together more than a MiB", async () => {
    using bench = new RngBench();
    const { driver } = bench;
    driver.start();
    const queue = driver.queue(0);
    for (let count = 0; count < 6; count += 1) {
      queue.add([{ ...driver.ram.allocate(MIB / 2), writable: true }]);
    }
    queue.publish();
    driver.transport.notify(0);
    const used = await driver.takeUsed(0, 6);
    expect(used.map(({ length }) => length > 0)).toEqual(Array(6).fill(true));
  });

  test("fills a buffer that crosses from one region of memory into the next", async () => {
    using bench = new RngBench();
    const { driver, machine } = bench;
    machine.addMemory(machine.lowMemoryEnd, 0x10000);
    driver.start();
    const buffer = { address: machine.lowMemoryEnd - 1000, length: 2000 };
    expect(await driver.run(0, [{ ...buffer, writable: true }])).toBe(2000);
    const parts = [buffer.address, machine.lowMemoryEnd].map((address) =>
      machine.ram.read({ address, length: 1000 }),
    );
    expect(parts.map((part) => differentBytes(part) > 200)).toEqual([true, true]);
  });

  test("asks for a reset when a chain has nothing to fill", async () => {
    using bench = new RngBench();
    const { driver } = bench;
    driver.start();
    driver.offer(0, [{ ...driver.ram.allocate(16), writable: false }]);
    await until("NEEDS_RESET", () => driver.needsReset);
    driver.start();
    expect(await bench.ask([16])).toHaveLength(16);
  });

  test("wakes JavaScript for none of it", async () => {
    using bench = new RngBench();
    bench.driver.start();
    for (let count = 0; count < 50; count += 1) await bench.ask([64]);
    expect(bench.machine.core.takeNews()).toEqual({ bits: 0, ringCount: 0 });
  });
});

describe("the limit", () => {
  test("lets a second's worth pass at once, and then holds the rate", async () => {
    using bench = new RngBench({ rate: 10_000 });
    bench.driver.start();
    const started = performance.now();
    expect(await bench.ask([10_000])).toHaveLength(10_000);
    for (let count = 0; count < 4; count += 1) expect(await bench.ask([500])).toHaveLength(500);
    // 2,000 bytes above the burst, less what a timer may be early.
    expect(performance.now() - started).toBeGreaterThan(198);
  });

  test("gives a request of more than that a second's worth", async () => {
    using bench = new RngBench({ rate: 64 });
    bench.driver.start();
    expect(await bench.ask([4096])).toHaveLength(64);
  });

  test("forgets a chain that waits when the guest resets the device", async () => {
    using bench = new RngBench({ rate: 1000 });
    const { driver } = bench;
    driver.start();
    await bench.ask([1000]);
    const buffer = driver.ram.place(new Uint8Array(100).fill(0x5a));
    driver.offer(0, [{ ...buffer, writable: true }]);
    driver.start();
    expect(await bench.ask([200])).toHaveLength(200);
    expect(driver.ram.read(buffer)).toEqual(new Uint8Array(100).fill(0x5a));
  });
});

/** A terminal: its master end is a source that has bytes when they are written to the other end. */
function terminal(bench: RngBench) {
  const source = openSource(bench.machine, "/dev/ptmx");
  const writer = openSync(`/dev/pts/${preparePty(bench.machine.core, source)}`, "r+");
  return { source, writer };
}

describe("sources", () => {
  test("a source without bytes makes its guest wait, and no other device", async () => {
    using bench = new RngBench();
    const { source, writer } = terminal(bench);
    const slow = bench.addDevice(source);
    slow.start();
    bench.driver.start();
    const waiting = bench.ask([100], slow);
    expect(await bench.ask([16])).toHaveLength(16);
    expect(slow.queue(0).usedIndex()).toBe(0);
    writeSync(writer, "random");
    expect(new TextDecoder().decode(await waiting)).toBe("random");
    const next = bench.ask([4], slow);
    writeSync(writer, "more");
    expect(new TextDecoder().decode(await next)).toBe("more");
    closeSync(writer);
  });

  test("a source that goes away fails once, is tried again, and holds up nobody", async () => {
    using bench = new RngBench();
    const { source, writer } = terminal(bench);
    const slow = bench.addDevice(source);
    slow.start();
    bench.driver.start();
    slow.offer(0, [{ ...slow.ram.allocate(16), writable: true }]);
    await bench.ask([16]);
    closeSync(writer);
    const info = () => bench.machine.core.deviceInfo(slow.transport.device);
    await until("the error", () => info().errorCount === 1);
    for (let count = 0; count < 20; count += 1) expect(await bench.ask([16])).toHaveLength(16);
    const again = openSync(`/dev/pts/${preparePty(bench.machine.core, source)}`, "r+");
    writeSync(again, "back");
    await slow.takeUsed(0, 1);
    expect(info()).toMatchObject({ errorCount: 1, faultCount: 0 });
    closeSync(again);
  });

  test("a source that ends is told to people once, and the guest waits", async () => {
    using bench = new RngBench({ source: "/dev/null" });
    const { driver, machine } = bench;
    driver.start();
    driver.offer(0, [{ ...driver.ram.allocate(16), writable: true }]);
    const info = () => machine.core.deviceInfo(driver.transport.device);
    await until("the error", () => info().errorCount === 1);
    driver.transport.notify(0);
    expect(driver.queue(0).usedIndex()).toBe(0);
    expect(driver.needsReset).toBe(false);
    expect(machine.core.takeNews().ringCount).toBe(1);
  });

  test("is opened from the option, with its limit in bytes a second", () => {
    using bench = new RngBench();
    const { core } = bench.machine;
    const line = "-object rng-random,id=r,filename=/dev/urandom -device virtio-rng-device,rng=r";
    const config = configOf(`-kernel k ${line},max-bytes=1234,period=500`);
    const device = config.devices[0] as RngConfig;
    const keep = <T extends { close(): void }>(resource: T): T => {
      bench.machine.onClose(() => resource.close());
      return resource;
    };
    const context = { core, config, chardevs: new Map(), iothreads: new Map(), keep };
    const { details } = openRng(device, context);
    expect(decode(RngParamsLayout, details ?? new Uint8Array())).toMatchObject({ rate: 2468 });
  });

  const open = (filename: string) => openRandomSource({ id: "r", filename });
  test("must be there, and a character device", () => {
    using folder = new TemporaryFolder();
    const file = folder.file("seed");
    writeFileSync(file, "");
    expect(() => open("/dev/nowhere")).toThrow(
      "The device of random source 'r' '/dev/nowhere' (-object rng-random) does not exist",
    );
    const before = readdirSync("/proc/self/fd").length;
    for (const path of [file, folder.path]) {
      expect(() => open(path)).toThrow(
        `The file '${path}' of random source 'r' is no character device; use one`,
      );
    }
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});
