// What ozone leaves when it fails, is killed, or is told to clean: nothing. Needs root.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspectHost } from "../../src/ozone/host_facts.ts";
import { parseOzone } from "../../src/ozone/options.ts";
import { planJail } from "../../src/ozone/plan.ts";
import { describeStep } from "../../src/ozone/step.ts";
import { World } from "./ozone_world.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("skipped: the tests of ozone's failures need root");

const world = new World();

/** Options that give a plan with every kind of step. */
function fullOptions(): string[] {
  const groups = ["-numa", "0", "-cgroup", "cpuset.cpus=0", "memory.limit_in_bytes=64M"];
  const sources = ["-source", world.file, world.sourceFolder, "-netns", "/proc/self/ns/net"];
  return [...world.options("jail"), ...groups, ...sources, "--", "report"];
}

function stepSentences(): string[] {
  const command = parseOzone(fullOptions());
  if (command.kind !== "launch") throw new Error("the options do not launch");
  return planJail(command.options, inspectHost(command.options)).steps.map(describeStep);
}

/** Runs `one` for the indexes from 0 to `last`, one after the other: all use the same name. */
async function forEachStep(last: number, one: (index: number) => Promise<void>): Promise<void> {
  for (let index = 0; index <= last; index += 1) await one(index);
}

describe.skipIf(!isRoot)("ozone", () => {
  beforeAll(() => world.prepare());
  afterAll(() => world.dispose());
  afterEach(async () => {
    await world.clean("jail");
    expect(world.leftovers()).toEqual([]);
  });

  test("undoes what was done when a step fails, and names the step", async () => {
    const sentences = [...stepSentences(), `start ${world.program} in the jail`];
    await forEachStep(sentences.length - 1, async (index) => {
      const { code, error } = await world.runWithFault("fail", index, fullOptions());
      expect(error).toBe(`ozone: Cannot ${sentences[index]}: EINJECTED.\n`);
      expect(code).toBe(1);
      expect(world.leftovers()).toEqual([]);
      expect(statSync(world.file).uid).toBe(0);
    });
  }, 60_000);

  test("cleans what a launcher that was killed at any step left", async () => {
    await forEachStep(stepSentences().length, async (index) => {
      const killed = await world.runWithFault("kill", index, fullOptions());
      expect(killed.code).toBe(137);
      const cleaned = await world.clean("jail");
      expect(cleaned.code).toBe(0);
      expect(world.leftovers()).toEqual([]);
    });
    expect(readFileSync(join(world.sourceFolder, "inner"), "latin1")).toBe("inner content");
  }, 60_000);

  test.each([
    ["directly", []],
    ["under an init", ["-daemonize"]],
  ])("undoes everything when the program cannot start %s", async (_, words) => {
    // execve(2) takes at most a quarter of the stack's limit.
    const long = ["-", "x".repeat(100_000), "x".repeat(100_000)];
    const options = [...world.options("jail"), "-source", world.file, "-rlimit", "stack=8192"];
    const owner = statSync(world.file).uid;
    const { code, error } = await world.run([...options, "--", ...words, ...long]);
    expect(code).toBe(1);
    expect(error).toBe(
      `ozone: Cannot start ${world.program} in the jail: ` +
        "cannot start the executable: its arguments are too long (E2BIG).\n",
    );
    expect(world.leftovers()).toEqual([]);
    expect(statSync(world.file).uid).toBe(owner);
  });

  test("keeps the jail and its files until it is cleaned", async () => {
    const options = [...world.options("jail"), "--", "write", "/state"];
    expect((await world.run(options)).code).toBe(0);
    expect(readFileSync(`${world.rootOf("jail")}/state`, "latin1")).toBe("written");
    const again = await world.run(options);
    expect(again.code).toBe(1);
    expect(again.error).toMatch(/^ozone: The name 'jail' is in use: .*-clean-resource\.\n$/);
  });

  test("starts and cleans jails of one executable side by side", async () => {
    const oneByOne = async (name: string) => {
      for (let round = 0; round < 4; round += 1) {
        const options = [...world.options(name), "-cgroup", "cpuset.cpus=0"];
        expect((await world.run([...options, "--", "exit", "3"])).code).toBe(3);
        expect((await world.clean(name)).code).toBe(0);
      }
    };
    await Promise.all(["one", "two", "three"].map(oneByOne));
  }, 60_000);

  test("says so when there is nothing to clean", async () => {
    const { code, error } = await world.clean("never");
    expect(code).toBe(0);
    expect(error).toBe("ozone: nothing is left of a jail 'never'.\n");
  });

  test("never cleans through a link or a mount", async () => {
    await world.run([...world.options("jail"), "--"]);
    symlinkSync(world.sourceFolder, `${world.rootOf("jail")}/link`);
    const mount = ["--bind", world.sourceFolder, `${world.rootOf("jail")}/dev/net`];
    expect(await Bun.spawn(["mount", ...mount]).exited).toBe(0);
    expect((await world.clean("jail")).code).toBe(0);
    expect(readFileSync(join(world.sourceFolder, "inner"), "latin1")).toBe("inner content");
  });

  test("refuses a dynamic executable", async () => {
    const options = ["-name", "jail", "-exec_file", "/bin/sh", "-uid", "1", "-gid", "1", "--"];
    const { code, error } = await world.run(options);
    expect(code).toBe(1);
    expect(error).toMatch(/^ozone: The executable '\/bin\/sh' .* is not statically linked; .*\n$/);
  });

  test("refuses an executable of another machine", async () => {
    const other = join(world.folder, "other");
    copyFileSync(world.program, other);
    const bytes = readFileSync(other);
    bytes.writeUInt16LE(8, 18);
    writeFileSync(other, bytes);
    const options = ["-name", "jail", "-exec_file", other, "-uid", "1", "-gid", "1", "--"];
    expect((await world.run(options)).error).toContain("is not made for this machine");
  });

  test.each([
    [["-source", "/no/such"], "The source '/no/such' does not exist."],
    [["-netns", "/no/such"], "The network namespace '/no/such' of -netns does not exist"],
    [["-netns", "/etc/passwd"], "Cannot join the network namespace /etc/passwd: it is not a"],
    [["-numa", "999"], "The host has no NUMA node 999"],
    [["-source", "/dev"], "The source '/dev' would be /dev in the jail, which is taken"],
    [["-source", "/"], "The source '/' has no base name"],
    [["-rlimit", "nofile=4294967296"], "cannot set the resource limit number 7"],
  ])("refuses %j with one sentence", async (options, sentence) => {
    const { code, error } = await world.run([...world.options("jail"), ...options, "--"]);
    expect(code).toBe(1);
    expect(error).toContain(sentence);
    expect(error.trim().split("\n")).toHaveLength(1);
    expect(world.leftovers()).toEqual([]);
  });

  test("says that the folder of jails is read-only", async () => {
    const setup = "mount -t tmpfs -o ro none /srv";
    const { code, error } = await world.runIn(["-m"], setup, [...world.options("jail"), "--"]);
    expect(code).toBe(1);
    expect(error).toBe(
      "ozone: Cannot make the folder /srv/ozone: " +
        "the file system is read-only; mount it writable (EROFS).\n",
    );
  });

  test("says that it needs root", async () => {
    const { code, error } = await world.runIn(["-U"], "true", [...world.options("jail"), "--"]);
    expect(code).toBe(1);
    expect(error).toMatch(/^ozone: ozone makes namespaces.*: run it as root\.\n$/);
  });
});
