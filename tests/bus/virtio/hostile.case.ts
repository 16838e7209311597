// Rings that a hostile driver has written: the device asks for a reset, and everything else of the
// machine goes on (virtio 1.2, sections 2.1.2 and 2.7).

import { expect, test } from "bun:test";
import { Random } from "../../support/random.ts";
import { until } from "../../support/until.ts";
import type { VirtioModel } from "../../support/virtio_model.ts";
import { FEATURE, INTERRUPT, type TransportKind } from "../../support/virtio_transport.ts";
import { DESCRIPTOR_FLAG, descriptorBytes } from "../../support/virtqueue.ts";
import { Bench } from "./conformance.case.ts";

const { next, write, indirect } = DESCRIPTOR_FLAG;

/** Writes something bad into the work queue; features are those negotiated. */
type Attack = readonly [string, bigint, (bench: Bench) => void];

function offerDescriptor(
  bench: Bench,
  descriptor: { address: number | bigint; length: number; flags: number; next: number },
): void {
  const queue = bench.driver.queue(bench.model.workQueue);
  queue.writeDescriptor(0, descriptor);
  queue.writeAvailable(0, 0);
  queue.setAvailableIndex(1);
}

function offerTable(bench: Bench, length: number, address?: number): void {
  const table = bench.machine.ram.place(
    descriptorBytes([{ address: 0x2000, length: 16, flags: 0, next: 0 }]),
  );
  offerDescriptor(bench, { address: address ?? table.address, length, flags: indirect, next: 0 });
}

const NONE = 0n;
const ATTACKS: readonly Attack[] = [
  [
    "an available index that runs away",
    NONE,
    ({ driver, model }) => driver.queue(model.workQueue).setAvailableIndex(model.queueSizeMax + 1),
  ],
  [
    "an available index that goes back",
    NONE,
    ({ driver, model }) => driver.queue(model.workQueue).setAvailableIndex(0xffff),
  ],
  [
    "a head outside the table",
    NONE,
    ({ driver, model }) => {
      driver.queue(model.workQueue).writeAvailable(0, model.queueSizeMax);
      driver.queue(model.workQueue).setAvailableIndex(1);
    },
  ],
  [
    "a descriptor that follows itself",
    NONE,
    (bench) => offerDescriptor(bench, { address: 0x2000, length: 16, flags: next, next: 0 }),
  ],
  [
    "a next outside the table",
    NONE,
    (bench) => offerDescriptor(bench, { address: 0x2000, length: 16, flags: next, next: 0xffff }),
  ],
  [
    "a buffer outside memory",
    NONE,
    (bench) => offerDescriptor(bench, { address: 0x7000_0000, length: 16, flags: 0, next: 0 }),
  ],
  [
    "a buffer whose end overflows",
    NONE,
    (bench) =>
      offerDescriptor(bench, {
        address: 0xffff_ffff_ffff_fff0n,
        length: 0x100,
        flags: write,
        next: 0,
      }),
  ],
  [
    "a buffer of 4 GiB",
    NONE,
    (bench) =>
      offerDescriptor(bench, { address: 0x2000, length: 0xffff_ffff, flags: write, next: 0 }),
  ],
  [
    "a readable buffer after a writable one",
    NONE,
    (bench) => {
      const queue = bench.driver.queue(bench.model.workQueue);
      queue.writeDescriptor(1, { address: 0x2000, length: 16, flags: 0, next: 0 });
      offerDescriptor(bench, { address: 0x3000, length: 16, flags: write | next, next: 1 });
    },
  ],
  ["an indirect table without negotiation", NONE, (bench) => offerTable(bench, 16)],
  ["an indirect table of no length", FEATURE.indirect, (bench) => offerTable(bench, 0)],
  ["an indirect table of an odd length", FEATURE.indirect, (bench) => offerTable(bench, 17)],
  [
    "an indirect table outside memory",
    FEATURE.indirect,
    (bench) => offerTable(bench, 16, 0x7000_0000),
  ],
  [
    "an indirect table across the end of memory",
    FEATURE.indirect,
    (bench) => offerTable(bench, 64, bench.machine.lowMemoryEnd - 32),
  ],
  [
    "an indirect table with a next",
    FEATURE.indirect,
    (bench) =>
      offerDescriptor(bench, { address: 0x2000, length: 16, flags: indirect | next, next: 1 }),
  ],
  [
    "an indirect table inside another",
    FEATURE.indirect,
    (bench) => {
      const inner = { address: 0x2000, length: 16, flags: indirect, next: 0 };
      const table = bench.machine.ram.place(descriptorBytes([inner]));
      offerDescriptor(bench, { ...table, flags: indirect, next: 0 });
    },
  ],
  [
    "an indirect table that loops",
    FEATURE.indirect,
    (bench) => {
      const inner = { address: 0x2000, length: 16, flags: next, next: 0 };
      const table = bench.machine.ram.place(descriptorBytes([inner]));
      offerDescriptor(bench, { ...table, flags: indirect, next: 0 });
    },
  ],
];

export function hostileCases(model: VirtioModel, kind: TransportKind): void {
  test.each(ATTACKS)("asks for a reset after %s; others work on", async (...row) => {
    const [, features, attack] = row;
    using bench = new Bench(model, kind);
    const { driver } = bench;
    const other = bench.addDevice();
    bench.start(features);
    bench.start(0n, other);
    attack(bench);
    driver.transport.notify(model.workQueue);
    await until("NEEDS_RESET", () => driver.needsReset);
    await until("the config interrupt", () => driver.transport.interruptCount() === 1);
    expect(driver.transport.interruptStatus()).toBe(INTERRUPT.config);
    await bench.work(other);
    expect(other.needsReset).toBe(false);
    bench.start();
    await bench.work();
    expect(driver.needsReset).toBe(false);
  });

  test.each([1, 2, 3, 4])("survives random rings and registers, seed %i", async (seed) => {
    using bench = new Bench(model, kind);
    const random = new Random(seed);
    const other = bench.addDevice();
    bench.start(0n, other);
    for (let round = 0; round < 30; round += 1) {
      bench.start(FEATURE.indirect);
      scribble(bench, random);
    }
    await bench.work(other);
    bench.start();
    await bench.work();
    expect(bench.driver.needsReset).toBe(false);
  });
}

/** Random rings, and random calls in the order of nothing. */
function scribble(bench: Bench, random: Random): void {
  const { driver, machine, model } = bench;
  const { transport } = driver;
  const { addresses, size } = driver.queue(model.workQueue);
  const scratch = machine.ram.allocate(0x100);
  const descriptors = Array.from({ length: size }, () => ({
    address: scratch.address + random.below(0x100),
    length: random.below(0x80),
    flags: random.below(8),
    next: random.below(size + 1),
  }));
  machine.ram.write(addresses.descriptors, descriptorBytes(descriptors));
  machine.ram.write(addresses.available + 2, random.bytes(2 + 2 * size));
  driver.queue(model.workQueue).setAvailableIndex(random.below(size + 2));
  const calls: (() => void)[] = [
    () => transport.notify(random.below(4)),
    () => transport.setQueueReady(random.below(4), random.below(2) === 0 ? 0 : 1),
    () => transport.writeStatus(random.below(256)),
    () => transport.writeFeatures(BigInt(random.below(2 ** 32))),
    () => transport.acknowledgeInterrupt(random.below(4)),
    () => transport.writeQueue(random.below(3), random.below(70), addresses),
  ];
  transport.notify(model.workQueue);
  for (let count = 0; count < 20; count += 1) calls[random.below(calls.length)]?.();
}
