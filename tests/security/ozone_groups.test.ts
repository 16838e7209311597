// Control groups of a jail on what this host has, cgroup v1 or v2. Needs root.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { findHierarchy } from "../../src/ozone/control_groups.ts";
import { readMounts } from "../../src/ozone/mount_table.ts";
import { World } from "./ozone_world.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("skipped: the tests of control groups need root");

const world = new World();
const memoryFile = { 1: "memory.limit_in_bytes", 2: "memory.max" } as const;

function groupValue(controller: "cpuset" | "memory", file: string): string {
  const { mount } = findHierarchy(controller, readMounts());
  return readFileSync(`${mount}/${world.base}/jail/${file}`, "latin1").trim();
}

function memoryLimit(): string {
  return groupValue("memory", memoryFile[findHierarchy("memory", readMounts()).version]);
}

describe.skipIf(!isRoot)("the control groups of a jail", () => {
  beforeAll(() => world.prepare());
  afterAll(() => world.dispose());
  afterEach(async () => {
    await world.clean("jail");
    expect(world.leftovers()).toEqual([]);
  });

  test.each([
    ["words", ["-cgroup", "cpuset.cpus=0", "memory.limit_in_bytes=64M"]],
    ["commas", ["-cgroup", "cpuset.cpus=0,memory.limit_in_bytes=67108864"]],
    ["the names of v2", ["-cgroup", "memory.max=64M", "-cgroup", "cpuset.cpus=0"]],
  ])("hold the values given with %s", async (_, options) => {
    const { code, out } = await world.run([...world.options("jail"), ...options, "--", "report"]);
    expect(code).toBe(0);
    expect(out).toContain("processors 1\n");
    expect(groupValue("cpuset", "cpuset.cpus")).toBe("0");
    expect(memoryLimit()).toBe(String(64 << 20));
  });

  test("take the memory of a NUMA node and inherit the processors", async () => {
    const { code } = await world.run([...world.options("jail"), "-numa", "0", "--"]);
    expect(code).toBe(0);
    expect(groupValue("cpuset", "cpuset.mems")).toBe("0");
  });

  test("hold the program and not the launcher", async () => {
    const options = [...world.options("jail"), "-cgroup", "cpuset.cpus=0"];
    const { child, pid } = await world.startWaiting(options);
    const members = groupValue("cpuset", "cgroup.procs");
    child.kill("SIGTERM");
    await child.exited;
    expect(members).toBe(String(pid));
  });

  test("refuse processors that the host does not have, and leave nothing", async () => {
    const options = [...world.options("jail"), "-cgroup", "cpuset.cpus=4095"];
    const { code, error } = await world.run([...options, "--"]);
    expect(code).toBe(1);
    expect(error).toMatch(/^ozone: Cannot write '4095' to .*cpuset\.cpus: .*\.\n$/);
    expect(world.leftovers()).toEqual([]);
  });

  test("are missed with one sentence where no hierarchy has the controller", async () => {
    const options = [...world.options("jail"), "-cgroup", "memory.max=64M", "--"];
    const { code, error } = await world.runIn(["-m"], "umount -l /sys/fs/cgroup", options);
    expect(code).toBe(1);
    expect(error).toMatch(/^ozone: The cgroup controller 'memory' is missing on this host: .*\n$/);
  });
});
