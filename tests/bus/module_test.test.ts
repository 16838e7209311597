// The whole program with accel=test, driven over -mod-test: memory, ports, clock, interrupts, and a
// virtio-blk read (behaviour 8.1).

import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { REGISTER } from "../support/mmio_transport.ts";
import { ModuleHarness } from "../support/module_harness.ts";
import { Program } from "../support/program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { STATUS } from "../support/virtio_transport.ts";
import { DESCRIPTOR_FLAG, descriptorBytes } from "../support/virtqueue.ts";

const DISK_BASE = 0xf010_0000;
const DISK_IRQ = 5;
const INTRODUCED = STATUS.acknowledge | STATUS.driver;

/** A machine with a disk of 1 MiB of sevens and a harness that drives it. */
class ModuleBench implements AsyncDisposable {
  readonly folder = new TemporaryFolder();
  readonly qmpPath = this.folder.file("qmp.sock");
  readonly harness = new ModuleHarness(this.folder.file("module.sock"));
  readonly program: Program;

  constructor() {
    const disk = this.folder.file("disk.img");
    writeFileSync(disk, new Uint8Array(2 ** 20).fill(7));
    this.program = new Program([
      ...["-machine", "microvm,accel=test", "-m", "128M"],
      ...["-mod-test", this.folder.file("module.sock")],
      ...["-qmp", `unix:${this.qmpPath},server,nowait`],
      ...["-drive", `id=d,file=${disk},direct=off,aio=off`],
      ...["-device", "virtio-blk-device,id=disk,drive=d,serial=abc"],
      ...["-serial", `file,path=${this.folder.file("serial.out")}`],
    ]);
    this.harness.watch(this.program.end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    this.harness[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

/** From reset to DRIVER_OK with one queue of eight at 0x10000. */
async function startDisk(harness: ModuleHarness): Promise<void> {
  const writes: [number, number][] = [
    [REGISTER.status, 0],
    [REGISTER.status, INTRODUCED],
    [REGISTER.driverFeaturesSelect, 1],
    [REGISTER.driverFeatures, 1],
    [REGISTER.status, INTRODUCED | STATUS.featuresOk],
    [REGISTER.queueSelect, 0],
    [REGISTER.queueSize, 8],
    [REGISTER.descriptors, 0x10000],
    [REGISTER.available, 0x11000],
    [REGISTER.used, 0x12000],
    [REGISTER.queueReady, 1],
    [REGISTER.status, INTRODUCED | STATUS.featuresOk | STATUS.driverOk],
  ];
  for (const [register, value] of writes) await harness.write32(DISK_BASE + register, value);
}

/** Offers a read of the first sector into 0x21000, status at 0x22000. */
async function offerRead(harness: ModuleHarness): Promise<void> {
  const { next, write } = DESCRIPTOR_FLAG;
  const chain = descriptorBytes([
    { address: 0x20000, length: 16, flags: next, next: 1 },
    { address: 0x21000, length: 512, flags: next | write, next: 2 },
    { address: 0x22000, length: 1, flags: write, next: 0 },
  ]);
  await harness.value("memset 0x20000 0x10 0x0");
  await harness.writeBytes(0x10000, chain);
  await harness.value("writew 0x11004 0x0");
  await harness.value("writew 0x11002 0x1");
  await harness.write32(DISK_BASE + REGISTER.queueNotify, 0);
}

async function untilAnswer(harness: ModuleHarness, line: string, wanted: string): Promise<void> {
  while ((await harness.value(line)) !== wanted) await new Promise((done) => setImmediate(done));
}

test("a disk is found and read, its interrupt seen until it is acknowledged", async () => {
  await using bench = new ModuleBench();
  const { harness } = bench;
  expect(await harness.read32(DISK_BASE + REGISTER.magic)).toBe(0x7472_6976);
  expect(await harness.read32(DISK_BASE + REGISTER.deviceId)).toBe(2);
  await startDisk(harness);
  expect(await harness.value(`query_intx ${DISK_IRQ}`)).toBe("FALSE");
  await offerRead(harness);
  await untilAnswer(harness, `query_intx ${DISK_IRQ}`, "TRUE");
  expect(await harness.value("readw 0x12002")).toBe("0x0000000000000001");
  expect(await harness.readBytes(0x21000, 512)).toEqual(new Uint8Array(512).fill(7));
  expect(await harness.value("readb 0x22000")).toBe("0x0000000000000000");
  expect(await harness.value(`query_intx ${DISK_IRQ}`)).toBe("TRUE");
  expect(await harness.value(`eoi_intx ${DISK_IRQ}`)).toBe("TRUE");
  expect(await harness.value(`query_intx ${DISK_IRQ}`)).toBe("FALSE");
  expect(await harness.value("query_intx 6")).toBe("FALSE");
});

test("memory and registers are told apart, in each width, to the last byte", async () => {
  await using bench = new ModuleBench();
  const { harness } = bench;
  await harness.value("writeq 0x1000 0x1122334455667788");
  expect(await harness.value("readb 0x1000")).toBe("0x0000000000000088");
  expect(await harness.value("readw 0x1001")).toBe("0x0000000000006677");
  expect(await harness.value("readl 0x1004")).toBe("0x0000000011223344");
  expect(await harness.value("readq 0x1000")).toBe("0x1122334455667788");
  expect(await harness.value("writeb 0x7ffffff 0x5a")).toBe("");
  expect(await harness.value("readb 0x7ffffff")).toBe("0x000000000000005a");
  expect(await harness.value("readw 0x7ffffff")).toBe("0x000000000000ffff");
  expect(await harness.value("readb 0x8000000")).toBe("0x00000000000000ff");
  expect(await harness.ask("read 0x7ffffff 0x2")).toStartWith("ERROR read: memory_read failed");
  expect(await harness.ask("readb 0xffffffffffffffff")).toStartWith("ERROR readb: the address");
  expect(await harness.ask("query_msix 0 0")).toContain("no MSI-X");
  expect(await harness.ask("nonsense")).toBe("Unsupported command: nonsense");
});

test("the clock moves as told, and the real-time clock with it", async () => {
  await using bench = new ModuleBench();
  const { harness } = bench;
  expect(await harness.value("clock_step 1500000000")).toBe("1500000000");
  expect(await harness.value("clock_set 61000000000")).toBe("61000000000");
  expect(await harness.value("clock_set 5")).toBe("61000000000");
  await harness.value("outb 0x70 0x0");
  expect(await harness.value("inb 0x71")).toBe("0x0000000000000001");
  await harness.value("outb 0x70 0x2");
  expect(await harness.value("inb 0x71")).toBe("0x0000000000000001");
});

test("a write to the reset register ends the machine as a guest's reset would", async () => {
  await using bench = new ModuleBench();
  await bench.harness.value("outb 0x3f8 0x41");
  await bench.harness.value("outb 0xcf9 0x6");
  expect(await bench.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(await Bun.file(bench.folder.file("serial.out")).text()).toBe("A");
  expect(existsSync(bench.qmpPath)).toBe(false);
});
