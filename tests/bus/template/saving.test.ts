// The life of a save: what becomes of the guest, of the folder, and of whoever comes in between.

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { openTemplate } from "../../../src/machine/snapshot/template.ts";
import { saveInFullFileSystem } from "../../support/full_template_disk.ts";
import { processFacts } from "../../support/process_facts.ts";
import { TemplateMachine, tryTemplate } from "../../support/template_machine.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";

const MIB = 2 ** 20;
/** Enough untouched memory that its save is under way for a while. */
const LARGE = "-m 512G";

let folder: TemporaryFolder;
let template: string;
beforeEach(() => {
  folder = new TemporaryFolder();
  template = folder.file("t");
});
afterEach(() => folder[Symbol.dispose]());

const idOf = (path: string) => {
  const opened = openTemplate(path);
  opened.close();
  return opened.manifest.id;
};
const files = () => readdirSync(template).toSorted();

test("a running guest is paused and stays so, until cont", async () => {
  using running = await TemplateMachine.start("");
  await running.machine.migrate(template);
  expect(running.machine.status()).toBe("paused");
  expect(running.machine.migration()).toMatchObject({
    status: "active",
    ram: { totalBytes: 128 * MIB },
  });
  expect(await running.saved()).toEqual({
    status: "completed",
    ram: { writtenBytes: 128 * MIB, totalBytes: 128 * MIB },
  });
  expect(running.events).toEqual(["STOP"]);
  running.machine.resume();
  expect(running.machine.status()).toBe("running");
  expect(running.events).toEqual(["STOP", "RESUME"]);
  expect(files()).toEqual(["memory", "state"]);
});

test("a paused guest stays paused without an event of its own", async () => {
  using running = await TemplateMachine.start("");
  running.machine.pause();
  expect((await running.save(template)).status).toBe("completed");
  expect(running.events).toEqual(["STOP"]);
});

test("the files are their owner's alone, and cost no more than what is in them", async () => {
  using running = await TemplateMachine.start("");
  running.assembly.core.writeMemory(64 * MIB, new Uint8Array(MIB).fill(7));
  await running.save(template);
  const [memory, state] = ["memory", "state"].map((name) => statSync(`${template}/${name}`));
  expect([statSync(template), memory, state].map((file) => (file?.mode ?? 0) & 0o777)).toEqual([
    0o700, 0o600, 0o600,
  ]);
  expect(memory?.size).toBe(130 * MIB);
  expect((memory?.blocks ?? 0) * 512).toBeWithin(MIB, 1.25 * MIB);
});

test("a second save replaces the first, also from another machine", async () => {
  using first = await TemplateMachine.start("");
  using second = await TemplateMachine.start("-m 256M");
  await first.save(template);
  const before = idOf(template);
  expect((await first.save(template)).status).toBe("completed");
  expect(idOf(template)).not.toBe(before);
  expect((await second.save(template)).status).toBe("completed");
  expect(files()).toEqual(["memory", "state"]);
  tryTemplate(`-m 256M -incoming file:${template}`);
});

const zones = (first: string, second: string) =>
  `-object memory-backend-ram,id=a,size=${first} ` +
  `-object memory-backend-memfd,id=b,size=${second} ` +
  "-numa node,nodeid=0,memdev=a,cpus=0 -numa node,nodeid=1,memdev=b";
const SHARED = "-machine microvm,accel=test,mem-share=on";

/** Pages with their own number in their bytes, also where a range of guest memory ends. */
const marked = (addresses: readonly number[]) =>
  addresses.map((address) => ({
    address,
    page: new Uint8Array(4096).fill(1 + ((address / 4096) % 251)),
  }));
const SMALL = [0, 4096, 65 * MIB, 127 * MIB];
const LARGE_MARKS = [0, 3 * 2 ** 30 - 4096, 2 ** 32, 5 * 2 ** 30 - 4096];

test.each([
  ["mapped", "-m 128M", "", SMALL],
  ["mapped, of two ranges of addresses", "-m 4G", "", LARGE_MARKS],
  ["from shared memory and to it", SHARED, "", SMALL],
  ["in two pieces, one of which is mapped", zones("64M", "64M"), "", SMALL],
  ["loaded", "-m 128M", ",mapped=false", SMALL],
  ["loaded in two pieces", zones("64M", "64M"), ",mapped=false", SMALL],
  ["loaded ahead", "-mem-prealloc", "", SMALL],
] as const)("memory comes back: %s", async (_, machine, suffix, addresses) => {
  using running = await TemplateMachine.start(machine);
  const marks = marked(addresses);
  for (const { address, page } of marks) running.assembly.core.writeMemory(address, page);
  await running.save(template);
  using restored = await TemplateMachine.start(`${machine} -incoming file:${template}${suffix}`);
  const { core } = restored.assembly;
  for (const { address, page } of marks) expect(core.readMemory(address, 4096)).toEqual(page);
  expect(core.readMemory(66 * MIB, 4096)).toEqual(new Uint8Array(4096));
});

test("what a clone writes stays its own, and it can be saved in its template's place", async () => {
  using running = await TemplateMachine.start("");
  running.assembly.core.writeMemory(MIB, Uint8Array.of(1));
  await running.save(template);
  using one = await TemplateMachine.start(`-incoming file:${template}`);
  using other = await TemplateMachine.start(`-incoming file:${template}`);
  one.assembly.core.writeMemory(MIB, Uint8Array.of(2));
  expect(other.assembly.core.readMemory(MIB, 1)).toEqual(Uint8Array.of(1));
  expect((await one.save(template)).status).toBe("completed");
  expect(other.assembly.core.readMemory(MIB, 1)).toEqual(Uint8Array.of(1));
  using third = await TemplateMachine.start(`-incoming file:${template}`);
  expect(third.assembly.core.readMemory(MIB, 1)).toEqual(Uint8Array.of(2));
});

test("nothing comes in between while the memory is written", async () => {
  using running = await TemplateMachine.start(LARGE);
  await running.machine.migrate(template);
  expect(() => running.machine.resume()).toThrow(
    "The machine is being saved; it can go on when query-migrate says that this has ended, or " +
      "after migrate_cancel.",
  );
  await expect(running.machine.migrate(folder.file("u"))).rejects.toThrow(
    "The machine is being saved already; wait for query-migrate to say that this has ended.",
  );
  expect(running.machine.migration().status).toBe("active");
  expect(existsSync(folder.file("u"))).toBe(false);
});

test("a cancelled save leaves the old template, and the guest runs on", async () => {
  using small = await TemplateMachine.start("");
  await small.save(template);
  const before = idOf(template);
  using running = await TemplateMachine.start(LARGE);
  await running.machine.migrate(template);
  running.machine.cancelMigration();
  expect(await running.saved()).toEqual({ status: "canceled" });
  expect(running.machine.status()).toBe("running");
  expect(running.events).toEqual(["STOP", "RESUME"]);
  expect(idOf(template)).toBe(before);
  expect(files()).toEqual(["memory", "state"]);
  expect((await small.save(template)).status).toBe("completed");
});

test("a guest that was stopped meanwhile does not run on after a cancelled save", async () => {
  using running = await TemplateMachine.start(LARGE);
  await running.machine.migrate(template);
  running.machine.pause();
  running.machine.cancelMigration();
  expect((await running.saved()).status).toBe("canceled");
  expect(running.machine.status()).toBe("paused");
  expect(running.events).toEqual(["STOP"]);
});

test("a machine that ends while it is saved leaves nothing", async () => {
  const running = await TemplateMachine.start(LARGE);
  await running.machine.migrate(template);
  running.machine.quit();
  running[Symbol.dispose]();
  expect(files()).toEqual([]);
});

test("two machines are not saved to one folder at the same time", async () => {
  using first = await TemplateMachine.start(LARGE);
  using second = await TemplateMachine.start("");
  await first.machine.migrate(template);
  await expect(second.machine.migrate(template)).rejects.toThrow(
    `Another machine is being saved to '${template}'; wait for it or name another folder.`,
  );
  expect(second.machine.status()).toBe("running");
  expect(second.events).toEqual([]);
  expect(second.machine.migration()).toEqual({ status: "none" });
  first.machine.cancelMigration();
  await first.saved();
  expect((await second.save(template)).status).toBe("completed");
});

const UNFIT: [string, (path: string) => string, string][] = [
  [
    "without a parent",
    (path) => `${path}/deep`,
    "cannot be made: the folder above it does not exist; make that first.",
  ],
  [
    "that is a file",
    (path) => {
      writeFileSync(path, "");
      return path;
    },
    "is no folder, or something above it is none; name another one.",
  ],
  [
    "that is a link to nowhere",
    (path) => {
      symlinkSync("/nowhere/at/all", path);
      return path;
    },
    "cannot be made: the folder above it does not exist; make that first.",
  ],
  [
    "with a folder for its memory",
    (path) => {
      mkdirSync(`${path}/memory.new`, { recursive: true });
      return path;
    },
    "holds a folder or a pipe where its files belong; name another one.",
  ],
  [
    "with a pipe for its memory",
    (path) => {
      mkdirSync(path);
      Bun.spawnSync(["mkfifo", `${path}/memory.new`]);
      return path;
    },
    "holds a folder or a pipe where its files belong; name another one.",
  ],
  [
    "with a link for its memory",
    (path) => {
      mkdirSync(path);
      symlinkSync("elsewhere", `${path}/memory.new`);
      return path;
    },
    "holds a link where its files belong; name another one.",
  ],
  [
    "under /proc",
    () => "/proc/template",
    "cannot be made: the folder above it does not exist; make that first.",
  ],
];

test.each(UNFIT)("a folder %s is refused, and the guest runs on", async (...row) => {
  const [, prepare, end] = row;
  const path = prepare(template);
  using running = await TemplateMachine.start("");
  await expect(running.machine.migrate(path)).rejects.toThrow(`The template '${path}' ${end}`);
  expect(running.machine.status()).toBe("running");
  expect(running.events).toEqual([]);
});

test.each([
  ["a pipe", (path: string) => Bun.spawnSync(["mkfifo", path])],
  ["a link", (path: string) => symlinkSync("elsewhere", path)],
] as const)("%s where the new state is written goes, and nothing else does", async (_, make) => {
  mkdirSync(template);
  make(`${template}/state.new`);
  using running = await TemplateMachine.start("");
  expect((await running.save(template)).status).toBe("completed");
  expect(files()).toEqual(["memory", "state"]);
});

const full = await saveInFullFileSystem();

test.skipIf(full.skipped !== undefined)("a full disk fails the save, nothing else", () => {
  expect(full.report).toEqual({
    state: {
      status: "failed",
      sentence:
        "The template '/mnt/t' cannot be written: the disk is full (ENOSPC); make room or name " +
        "another folder.",
    },
    runState: "running",
    events: ["STOP", "RESUME"],
    files: ["memory", "state"],
    isOldTemplate: true,
  });
});

test("saves and restores leave no descriptor, thread or mapping", async () => {
  const round = async () => {
    using running = await TemplateMachine.start("");
    await running.save(template);
    using restored = await TemplateMachine.start(`-incoming file:${template}`);
    await restored.save(template);
  };
  for (let count = 0; count < 5; count += 1) await round();
  Bun.gc(true);
  const before = processFacts();
  for (let count = 0; count < 20; count += 1) await round();
  Bun.gc(true);
  const after = processFacts();
  expect(after.descriptorCount).toBe(before.descriptorCount);
  expect(after.threadCount).toBeLessThanOrEqual(before.threadCount + 1);
  expect(after.mappingCount - before.mappingCount).toBeLessThan(50);
}, 60_000);

test("a bit of the memory is noticed where it is loaded", async () => {
  using running = await TemplateMachine.start("");
  running.assembly.core.writeMemory(64 * MIB, Uint8Array.of(1));
  await running.save(template);
  const bytes = readFileSync(`${template}/memory`);
  bytes[66 * MIB + 5] = 1;
  writeFileSync(`${template}/memory`, bytes);
  tryTemplate(`-incoming file:${template}`);
  expect(() => tryTemplate(`-incoming file:${template},mapped=false`)).toThrow(
    `The template's file '${template}/memory' is damaged: its megabyte at ${66 * MIB} does not ` +
      "match its checksum; save the machine again.",
  );
});
