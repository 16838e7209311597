// virtio-balloon as a guest sees it, and what the host gets: pages that really go back (virtio 1.2,
// section 5.5; behaviour 4.9).

import { describe, expect, test } from "bun:test";
import { closeSync, ftruncateSync, openSync, readFileSync, statSync } from "node:fs";
import { CONSTANTS, News } from "../../../src/core/abi.gen.ts";
import {
  BALLOON_FEATURE,
  BALLOON_QUEUE,
  BalloonBench,
  PAGE,
  pageNumbers,
} from "../../support/balloon_bench.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";
import { FEATURE, INTERRUPT } from "../../support/virtio_transport.ts";

const { inflate, deflate, reporting } = BALLOON_QUEUE;
const ONES = new Uint8Array(PAGE).fill(1);
const ZEROES = new Uint8Array(PAGE);

/** Which of the pages have this content. */
function indexesOf(pages: readonly Uint8Array[], content: Uint8Array): number[] {
  return [...pages.keys()].filter((index) => Buffer.compare(pages[index] ?? ONES, content) === 0);
}

describe("configuration", () => {
  const always = FEATURE.version1 | FEATURE.indirect | FEATURE.eventIndex;
  test.each([
    ["nothing", 0, 0n, 2],
    ["deflate on OOM", CONSTANTS.balloonDeflateOnOom, BALLOON_FEATURE.deflateOnOom, 2],
    ["reporting, and its queue", CONSTANTS.balloonReporting, BALLOON_FEATURE.reporting, 3],
  ])("offers %s", (_name, flags, features, queueCount) => {
    using bench = new BalloonBench(flags);
    const { transport } = bench.driver;
    expect(transport.offeredFeatures()).toBe(always | features);
    const sizes = [0, 1, 2, 3].map((queue) => transport.queueSizeMax(queue));
    expect(sizes.filter((size) => size === 256)).toHaveLength(queueCount);
  });

  test("tells a new target by an interrupt and another generation, and the same one not", () => {
    using bench = new BalloonBench();
    const { transport } = bench.driver;
    bench.start();
    bench.machine.core.setBalloon(transport.device, 0x1234);
    expect(transport.readConfig(0, 4)).toBe(0x1234n);
    expect(transport.interruptStatus()).toBe(INTERRUPT.config);
    expect(transport.interruptCount()).toBe(1);
    expect(transport.configGeneration()).toBe(1);
    bench.machine.core.setBalloon(transport.device, 0x1234);
    expect(transport.interruptCount()).toBe(1);
  });

  test("keeps a target that was set before the driver came, and over a reset", () => {
    using bench = new BalloonBench();
    const { transport } = bench.driver;
    bench.machine.core.setBalloon(transport.device, 7);
    expect(transport.interruptCount()).toBe(0);
    bench.start();
    expect(transport.readConfig(0, 8)).toBe(7n);
    transport.writeStatus(0);
    expect(transport.readConfig(0, 8)).toBe(7n);
  });

  test("lets the driver write what it holds, in any width, and nothing else", () => {
    using bench = new BalloonBench();
    const { transport } = bench.driver;
    bench.start();
    transport.writeConfig(4, 4, 0x0102_0304n);
    expect(bench.info.actualPageCount).toBe(0x0102_0304);
    transport.writeConfig(5, 1, 0xffn);
    expect(transport.readConfig(4, 4)).toBe(0x0102_ff04n);
    transport.writeConfig(0, 8, 0x9_0000_0009n);
    expect(transport.readConfig(0, 8)).toBe(0x9_0000_0000n);
    expect(transport.configGeneration()).toBe(0);
  });
});

describe("news", () => {
  test("of what the guest holds ring once until somebody looks", () => {
    using bench = new BalloonBench();
    const { core } = bench.machine;
    bench.start();
    for (const count of [1, 2, 3]) bench.driver.transport.writeConfig(4, 4, BigInt(count));
    expect(core.takeNews()).toEqual({ bits: 1 << News.device, ringCount: 1 });
    bench.driver.transport.writeConfig(4, 4, 4n);
    expect(core.takeNews()).toEqual({ bits: 0, ringCount: 1 });
    expect(bench.info).toMatchObject({ actualPageCount: 4, changed: 1 });
    expect(bench.info.changed).toBe(0);
    bench.driver.transport.writeConfig(4, 4, 4n);
    expect(core.takeNews().ringCount).toBe(1);
    bench.driver.transport.writeConfig(4, 4, 5n);
    expect(core.takeNews().ringCount).toBe(2);
  });

  test("come when a reset gives the guest all of its memory again", () => {
    using bench = new BalloonBench();
    bench.start();
    bench.driver.transport.writeConfig(4, 4, 9n);
    expect(bench.info.changed).toBe(1);
    bench.driver.transport.writeStatus(0);
    expect(bench.info).toMatchObject({ actualPageCount: 0, changed: 1 });
  });

  test("do not come of pages that move", async () => {
    using bench = new BalloonBench();
    bench.start();
    const first = bench.fillPages(4);
    await bench.send(inflate, [first, first + 1]);
    await bench.send(deflate, [first]);
    expect(bench.machine.core.takeNews()).toEqual({ bits: 0, ringCount: 0 });
  });
});

describe("inflating", () => {
  test("gives just these pages back, in whatever order they come", async () => {
    using bench = new BalloonBench();
    bench.start();
    const first = bench.fillPages(16);
    const given = [0, 1, 2, 7, 6, 5, 12, 10];
    await bench.send(
      inflate,
      given.map((index) => first + index),
    );
    expect(bench.info.releasedPageCount).toBe(8);
    const pages = Array.from({ length: 16 }, (_, index) =>
      bench.machine.ram.read(bench.page(first + index)),
    );
    expect(indexesOf(pages, ZEROES)).toEqual(given.toSorted((one, other) => one - other));
    expect(indexesOf(pages, ONES)).toHaveLength(8);
  });

  test("takes page numbers that are split over buffers, and leaves out half a number", async () => {
    using bench = new BalloonBench();
    bench.start();
    const first = bench.fillPages(3);
    const bytes = pageNumbers([first, first + 1, first + 2]).subarray(0, 11);
    const parts = [bytes.subarray(0, 1), bytes.subarray(1, 6), bytes.subarray(6)].map((part) => ({
      ...bench.machine.ram.place(part, 1),
      writable: false,
    }));
    await bench.driver.run(inflate, parts);
    expect(bench.info.releasedPageCount).toBe(2);
    expect(bench.machine.ram.read(bench.page(first + 2))).toEqual(ONES);
  });

  test("passes over page numbers that are no memory, and counts them", async () => {
    using bench = new BalloonBench();
    bench.start();
    const { machine } = bench;
    const first = bench.fillPages(2);
    const outside = [machine.lowMemoryEnd / PAGE, 0xf_ffff, 0xffff_ffff, 0x8000_0000];
    await bench.send(inflate, [first, ...outside, first + 1]);
    expect(bench.info).toMatchObject({ releasedPageCount: 2, ignoredPageCount: 4 });
    const lastPages = [machine.lowMemoryEnd, machine.highMemoryStart + 2 ** 20];
    await bench.send(
      inflate,
      lastPages.map((end) => end / PAGE - 1),
    );
    expect(bench.info).toMatchObject({ releasedPageCount: 4, ignoredPageCount: 4 });
    expect(bench.driver.needsReset).toBe(false);
  });

  test("joins pages over the seam of two regions of memory", async () => {
    using bench = new BalloonBench();
    bench.start();
    const { machine } = bench;
    machine.addMemory(machine.lowMemoryEnd, 4 * PAGE);
    const seam = machine.lowMemoryEnd / PAGE;
    machine.ram.write((seam - 1) * PAGE, ONES);
    machine.ram.write(seam * PAGE, ONES);
    await bench.send(inflate, [seam - 1, seam]);
    expect(bench.info.releasedPageCount).toBe(2);
    const both = [seam - 1, seam].map((page) => machine.ram.read(bench.page(page)));
    expect(both).toEqual([ZEROES, ZEROES]);
  });

  test("looks at the first 16,384 numbers of a chain only", async () => {
    using bench = new BalloonBench();
    bench.start();
    const first = bench.fillPages(1);
    const numbers = new Array<number>(16_384 + 100).fill(0xffff_ffff);
    await bench.send(inflate, [...numbers, first]);
    expect(bench.info).toMatchObject({ releasedPageCount: 0, ignoredPageCount: 16_384 + 101 });
    expect(bench.machine.ram.read(bench.page(first))).toEqual(ONES);
  });

  test("serves all chains of one notification, however many pages they are", async () => {
    using bench = new BalloonBench();
    bench.start();
    const { driver, machine } = bench;
    const first = bench.fillPages(1024);
    const pages = Array.from({ length: 1024 }, (_, index) => first + ((index * 7) % 1024));
    const buffer = { ...machine.ram.place(pageNumbers(pages)), writable: false };
    for (let count = 0; count < 40; count += 1) driver.queue(inflate).add([buffer]);
    driver.queue(inflate).publish();
    driver.transport.notify(inflate);
    await driver.takeUsed(inflate, 40);
    expect(bench.info.releasedPageCount).toBe(40 * 1024);
  });

  test("survives that the guest gives away the rings themselves", async () => {
    using bench = new BalloonBench();
    bench.start();
    const { descriptors, used } = bench.driver.queue(inflate).addresses;
    const pages = [Math.floor(descriptors / PAGE), Math.floor(used / PAGE)];
    const buffer = bench.machine.ram.place(pageNumbers(pages));
    bench.driver.offer(inflate, [{ ...buffer, writable: false }]);
    await until("the pages", () => bench.info.releasedPageCount > 0);
    bench.start();
    const first = bench.fillPages(1);
    await bench.send(inflate, [first]);
    expect(bench.machine.ram.read(bench.page(first))).toEqual(ZEROES);
  });
});

describe("deflating", () => {
  test("gives the guest its pages again, empty", async () => {
    using bench = new BalloonBench();
    bench.start();
    const first = bench.fillPages(1);
    await bench.send(inflate, [first]);
    await bench.send(deflate, [first, 0xffff_ffff]);
    expect(bench.machine.ram.read(bench.page(first))).toEqual(ZEROES);
    bench.machine.ram.write(first * PAGE, ONES);
    expect(bench.machine.ram.read(bench.page(first))).toEqual(ONES);
  });
});

describe("reporting", () => {
  test("gives the whole pages of each range back", async () => {
    using bench = new BalloonBench();
    bench.start();
    const first = bench.fillPages(16);
    const ranges = [
      { address: first * PAGE, length: 4 * PAGE },
      { address: (first + 8) * PAGE + 1, length: 3 * PAGE },
    ];
    const parts = ranges.map((range) => ({ ...range, writable: true }));
    expect(await bench.driver.run(reporting, parts)).toBe(0);
    expect(bench.info.releasedPageCount).toBe(6);
    const pages = Array.from({ length: 16 }, (_, index) =>
      bench.machine.ram.read(bench.page(first + index)),
    );
    expect(indexesOf(pages, ZEROES)).toEqual([0, 1, 2, 3, 9, 10]);
    expect(indexesOf(pages, ONES)).toHaveLength(10);
  });
});

describe("the host's memory", () => {
  const PAGES = 64;
  const START = 0x8000_0000;

  /** Memory from a file whose use the kernel tells. */
  function fileMemory(bench: BalloonBench, folder: string, shared: 0 | 1): string {
    const path = `${folder}/memory`;
    const fd = openSync(path, "w+");
    bench.machine.onClose(() => closeSync(fd));
    ftruncateSync(fd, PAGES * PAGE);
    const size = PAGES * PAGE;
    const rest = { offset: 0, dump: 0, prealloc: 0 };
    bench.machine.core.addMemory({ guestAddress: START, size, fd, shared, ...rest });
    bench.machine.ram.write(START, new Uint8Array(size).fill(1));
    return path;
  }

  const pages = Array.from({ length: PAGES / 2 }, (_, index) => START / PAGE + index);

  test("of a shared file is given back to its file system", async () => {
    using folder = new TemporaryFolder();
    using bench = new BalloonBench();
    bench.start();
    const path = fileMemory(bench, folder.path, 1);
    expect(statSync(path).blocks * 512).toBe(PAGES * PAGE);
    await bench.send(inflate, pages);
    expect(statSync(path).blocks * 512).toBe((PAGES * PAGE) / 2);
    expect(statSync(path).size).toBe(PAGES * PAGE);
  });

  test("that is the process's own is no longer part of it", async () => {
    using folder = new TemporaryFolder();
    using bench = new BalloonBench();
    bench.start();
    const path = fileMemory(bench, folder.path, 0);
    expect(privateBytes(path)).toBe(PAGES * PAGE);
    await bench.send(inflate, pages);
    expect(privateBytes(path)).toBe((PAGES * PAGE) / 2);
  });

  /** What the process holds of a mapped file for itself (proc(5), smaps). */
  function privateBytes(path: string): number {
    const text = readFileSync("/proc/self/smaps", "utf8");
    const mapping = text.slice(text.indexOf(path));
    const [, count] = /^Private_Dirty: +(\d+) kB$/m.exec(mapping) ?? [];
    return Number(count) * 1024;
  }
});
