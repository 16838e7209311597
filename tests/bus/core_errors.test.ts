// Every way in which a call into the core fails, with its status and its sentence.

import { expect, test } from "bun:test";
import { closeSync, cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import { Capability, ModelKind, Operation, Space, Status } from "../../src/core/abi.gen.ts";
import type { Core } from "../../src/core/core.ts";
import { CoreError } from "../../src/core/error.ts";
import { lockFile } from "../../src/core/host_calls.ts";
import { BusMachine } from "../support/bus_machine.ts";
import { describeDisk } from "../support/disk.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

function failureOf(action: () => void): { status: number; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof CoreError) return { status: error.status, message: error.message };
    throw error;
  }
  return { status: Status.ok, message: "" };
}

function repeat(count: number, action: (index: number) => void): void {
  for (let index = 0; index < count; index += 1) action(index);
}

const TOPOLOGY = { threads: 1, cores: 1, dies: 1, sockets: 1 };
const cmos = (core: Core) => core.createDevice({ model: ModelKind.cmos });
const window = (device: number, base: number) => ({
  base,
  size: 2,
  space: Space.pio,
  device,
  region: 0,
});

type Failure = readonly [string, number, string, (core: Core, machine: BusMachine) => void];

const FAILURES: readonly Failure[] = [
  [
    "a lock of no file",
    Status.host,
    "fileLock failed: EBADF (value 4294967295)",
    (core) => lockFile(core, -1, "shared"),
  ],
  [
    "a load from no file",
    Status.host,
    "fileRead failed: EBADF (value 0)",
    (core) => core.loadMemory({ fd: -1, guestAddress: 0x1000, offset: 0, size: 8 }),
  ],
  [
    "memory that the host does not have",
    Status.host,
    "memoryMap failed: ENOMEM (value 1125899906842624)",
    (_, machine) => machine.addMemory(2 ** 40, 2 ** 50),
  ],
  [
    "memory over memory",
    Status.invalid,
    "memory_add failed: invalid",
    (_, machine) => machine.addMemory(0x1000, 0x1000),
  ],
  [
    "two devices at one port",
    Status.invalid,
    "map_publish failed: invalid",
    (core) => core.publishMap([window(cmos(core), 0x70), window(cmos(core), 0x71)]),
  ],
  [
    "an access of nine bytes",
    Status.invalid,
    "bus_read failed: invalid",
    (core) => core.busRead(Space.mmio, 0, 9),
  ],
  [
    "a disk with a queue of three",
    Status.invalid,
    "device_create failed: invalid",
    (core) => core.createDevice(describeDisk(0, 4096, { queueSize: 3 })),
  ],
  [
    "a disk without its parameters",
    Status.invalid,
    "device_create failed: invalid",
    (core) => core.createDevice({ model: ModelKind.virtioBlk }),
  ],
  [
    "a disk on an iothread that is not there",
    Status.invalid,
    "device_create failed: invalid",
    (core) => core.createDevice(describeDisk(0, 4096, { iothread: 5 })),
  ],
  [
    "a console that is not there",
    Status.invalid,
    "device_create failed: invalid",
    (core) => core.createDevice({ model: ModelKind.serial, chardev: 7 }),
  ],
  [
    "marks of a device that keeps none",
    Status.invalid,
    "device_marks failed: invalid",
    (core) => core.deviceMarks(cmos(core)),
  ],
  [
    "a device that was destroyed",
    Status.stale,
    "device_info failed: stale",
    (core) => {
      const old = cmos(core);
      core.destroyDevice(old);
      cmos(core);
      core.deviceInfo(old);
    },
  ],
  [
    "a device destroyed twice",
    Status.stale,
    "device_destroy failed: stale",
    (core) => {
      const device = cmos(core);
      core.destroyDevice(device);
      core.destroyDevice(device);
    },
  ],
  [
    "a window of a device that was destroyed",
    Status.stale,
    "map_publish failed: stale",
    (core) => {
      const device = cmos(core);
      core.destroyDevice(device);
      core.publishMap([window(device, 0x70)]);
    },
  ],
  [
    "a processor without KVM",
    Status.unsupported,
    "vcpu_create failed: unsupported",
    (core) => core.createVcpu(TOPOLOGY),
  ],
  [
    "an address that is no memory",
    Status.outOfRange,
    "memory_read failed: outOfRange",
    (core) => core.readMemory(0x7000_0000, 4),
  ],
  [
    "more regions of memory than there may be",
    Status.limit,
    "memory_add failed: limit",
    (_, machine) => repeat(40, (index) => machine.addMemory((8 + index) * 2 ** 30, 4096)),
  ],
  [
    "more devices than there may be",
    Status.limit,
    "device_create failed: limit",
    (core) => repeat(257, () => cmos(core)),
  ],
  [
    "more iothreads than there may be",
    Status.limit,
    "thread_create failed: limit",
    (core) => repeat(9, (index) => core.createThread(`io${index}`)),
  ],
  [
    "more consoles than there may be",
    Status.limit,
    "chardev_create failed: limit",
    (core) => repeat(33, () => core.createChardev({})),
  ],
  [
    "a doorbell taken twice",
    Status.empty,
    "doorbell_fd failed: empty",
    (core, machine) => {
      const fd = core.takeDoorbellFd();
      machine.onClose(() => closeSync(fd));
      core.takeDoorbellFd();
    },
  ],
];

test.each(FAILURES)("%s", (_name, status, message, action) => {
  using machine = new BusMachine();
  expect(failureOf(() => action(machine.core, machine))).toEqual({ status, message });
  expect(machine.core.clockNow()).toBe(0);
});

test("a device id never comes back, however often its slot is used", () => {
  using machine = new BusMachine();
  const ids = Array.from({ length: 500 }, () => {
    const id = cmos(machine.core);
    machine.core.destroyDevice(id);
    return id;
  });
  expect(new Set(ids).size).toBe(500);
  cmos(machine.core);
  expect(() => machine.core.deviceInfo(ids[0] ?? 0)).toThrow("stale");
});

test("a KVM that lacks something is named by its capability", () => {
  const cause = { operation: Operation.kvmCheckExtension, errno: 0 } as const;
  const error = new CoreError("core_create", Status.unsupported, {
    ...cause,
    value: Capability.immediateExit,
  });
  const name = "KVM_CAP_IMMEDIATE_EXIT";
  expect(error.message).toBe(`the host's KVM lacks the capability ${name}, which is needed`);
});

/** The core's TypeScript in a folder of its own, as another build would have it. */
async function foreignCore(folder: TemporaryFolder): Promise<typeof Core> {
  const copy = folder.file("src/core");
  cpSync(join(checkout, "src/core"), copy, { recursive: true });
  cpSync(join(checkout, "src/builtin.ts"), folder.file("src/builtin.ts"));
  const generated = join(copy, "abi.gen.ts");
  const text = readFileSync(generated, "utf8").replace(/ABI_HASH = \d+/, "ABI_HASH = 1");
  writeFileSync(generated, text);
  return (await import(join(copy, "core.ts"))).Core;
}

test("a library of another build is refused before any other call", async () => {
  using folder = new TemporaryFolder();
  symlinkSync(join(checkout, "zig-out"), folder.file("zig-out"));
  const core = await foreignCore(folder);
  const sentence =
    /libstratovirt_core\.so has ABI \d+ where this program needs 1: run `bun run gen`/;
  expect(() => core.create()).toThrow(sentence);
});

test("a library that is not there is named", async () => {
  using folder = new TemporaryFolder();
  const core = await foreignCore(folder);
  expect(() => core.create()).toThrow(folder.file("zig-out/lib/libstratovirt_core.so"));
});
