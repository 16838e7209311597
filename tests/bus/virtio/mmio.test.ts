// Registers of virtio-mmio, version 2, beyond what the conformance suite sees (virtio 1.2, section
// 4.2.2): fixed values, widths, and what nobody answers.

import { expect, test } from "bun:test";
import { Space } from "../../../src/core/abi.gen.ts";
import { BlkBench } from "../../support/blk_bench.ts";
import { MmioTransport, REGISTER } from "../../support/mmio_transport.ts";

const STATUS_ACKNOWLEDGE = 1;
const ONES = 0xffff_ffff;

function registersOf(bench: BlkBench): MmioTransport {
  if (bench.driver.transport instanceof MmioTransport) return bench.driver.transport;
  throw new Error("the bench has another transport");
}

test("the fixed registers say virtio-mmio of version 2, and no vendor", () => {
  using bench = new BlkBench({});
  const registers = registersOf(bench);
  const fixed = [REGISTER.magic, REGISTER.version, REGISTER.vendorId];
  expect(fixed.map((register) => registers.read(register))).toEqual([0x7472_6976, 2, 0]);
});

test("there is no shared memory", () => {
  using bench = new BlkBench({});
  const registers = registersOf(bench);
  const { sharedMemoryLength, sharedMemoryBase } = REGISTER;
  const words = [
    sharedMemoryLength,
    sharedMemoryLength + 4,
    sharedMemoryBase,
    sharedMemoryBase + 4,
  ];
  expect(words.map((register) => registers.read(register))).toEqual([ONES, ONES, ONES, ONES]);
});

test("feature words above the second are empty, and what is written there is lost", () => {
  using bench = new BlkBench({});
  const registers = registersOf(bench);
  for (const select of [2, 3, ONES]) {
    registers.write(REGISTER.deviceFeaturesSelect, select);
    expect(registers.read(REGISTER.deviceFeatures)).toBe(0);
    registers.write(REGISTER.driverFeaturesSelect, select);
    registers.write(REGISTER.driverFeatures, ONES);
  }
  bench.driver.start();
  expect(bench.driver.needsReset).toBe(false);
});

test("registers answer accesses of 32 bits alone", () => {
  using bench = new BlkBench({});
  const { base } = registersOf(bench);
  const { core } = bench.machine;
  const reads = [1, 2, 8].map((size) => core.busRead(Space.mmio, base, size));
  expect(reads).toEqual([0n, 0n, 0n]);
  for (const size of [1, 2, 8]) core.busWrite(Space.mmio, base + REGISTER.status, size, 1n);
  core.busWrite(Space.mmio, base + REGISTER.status + 2, 4, 0x1_0000n);
  expect(registersOf(bench).status()).toBe(0);
  registersOf(bench).writeStatus(STATUS_ACKNOWLEDGE);
  expect(registersOf(bench).status()).toBe(STATUS_ACKNOWLEDGE);
});

test("each offset of the window can be read and written, known or not", async () => {
  using bench = new BlkBench({});
  const registers = registersOf(bench);
  for (let offset = 0; offset < 0x200; offset += 4) {
    registers.read(offset);
    registers.write(offset, 0xa5a5_a5a5);
  }
  bench.driver.start();
  expect(await bench.driver.read(0, 512)).toEqual(new Uint8Array(512));
});

test("an access across the window's end is nobody's", () => {
  using bench = new BlkBench({});
  const { base } = registersOf(bench);
  expect(bench.machine.core.busRead(Space.mmio, base + 0x1fe, 4)).toBe(BigInt(ONES));
  expect(bench.machine.core.busRead(Space.mmio, base + 0x200, 4)).toBe(BigInt(ONES));
});
