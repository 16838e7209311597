// The filters on real threads: what is denied ends the process with a line that names it, and what
// a machine's process does in a long run survives.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { EngineKind } from "../../src/core/abi.gen.ts";
import {
  BUILD_TIMEOUT_MS,
  buildProbe,
  childCommand,
  probe,
  removeTemporaryFiles,
  runChild,
  runDiskChild,
  startMachine,
} from "./seccomp_probe.ts";

beforeAll(async () => {
  await buildProbe();
}, BUILD_TIMEOUT_MS);

afterAll(removeTemporaryFiles);

const forbiddenToAll = [
  ["execve", "execve"],
  ["ptrace", "ptrace"],
  ["socket", "socket"],
  ["map_executable", "mmap"],
  ["protect_executable", "mprotect"],
  ["fork", "clone"],
  ["namespace", "clone"],
  ["kvm_create_vm", "ioctl"],
  ["kill", "kill"],
  ["setuid", "setuid"],
  ["mount", "mount"],
  ["bpf", "bpf"],
  ["loosen", "prctl"],
] as const;

const denials = [
  ...(["main", "vcpu", "iothread"] as const).flatMap((kind) =>
    forbiddenToAll.map(([action, call]) => [kind, action, call] as const),
  ),
  ["vcpu", "open_new", "openat"],
  ["vcpu", "map_plain", "mmap"],
  ["iothread", "open_new", "openat"],
  ["iothread", "map_plain", "mmap"],
] as const;

/** As every line of the log begins. */
const lineStart = "^\\d{4}(-\\d\\d){2}T\\d\\d(:\\d\\d){2}\\.\\d{9}: \\[\\d+\\]\\[\\d+\\]:ERROR: ";

test.each(denials)("a %s thread that tries %s ends the process", async (kind, action, call) => {
  const ending = await probe(kind, action);
  expect(ending.stderr).toMatch(
    new RegExp(`${lineStart}seccomp: thread "probed" made system call ${call} \\(number \\d+, `),
  );
  expect(ending.code).toBe(159);
  expect(ending.stdout).toBe("");
});

const permissions = [
  ["main", "nothing"],
  ["main", "open_new"],
  ["main", "map_plain"],
  ["main", "wake"],
  ["vcpu", "nothing"],
  ["vcpu", "wake"],
  ["iothread", "nothing"],
  ["iothread", "wake"],
] as const;

test.each(permissions)("a %s thread survives %s", async (kind, action) => {
  const ending = await probe(kind, action);
  expect(ending).toEqual({ code: 0, stdout: "survived", stderr: "" });
});

test("a confined process that starts a program ends and names the call", async () => {
  const ending = await runChild("spawn");
  expect(ending.stderr).toContain("made system call ");
  expect(ending.stderr).toContain("which its filter does not allow");
  expect(ending.code).toBe(159);
});

test("a confined process that makes a connection ends and names the call", async () => {
  const ending = await runChild("connect");
  expect(ending.stderr).toContain("made system call socket (number");
  expect(ending.code).toBe(159);
});

test("the filters are installed once", async () => {
  const ending = await runChild("again");
  expect(ending.stderr).toContain("seccomp_install failed: invalid");
  expect(ending.code).toBe(1);
});

test("collections, compiler tiers and ten thousand requests survive", async () => {
  const ending = await runChild("endure");
  expect(ending).toEqual({ code: 0, stdout: "answered 10000\n", stderr: "" });
}, 120_000);

test.each(Object.entries(EngineKind))(
  "a disk with the engine %s works",
  async (_, engine) => {
    const ending = await runDiskChild(engine);
    expect(ending).toEqual({ code: 0, stdout: "statuses 0 0 0 0 0, byte 9\n", stderr: "" });
  },
  60_000,
);

/** Name of each thread of a process with its number of filters. */
function filterCounts(pid: number): [name: string, filters: number][] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    const name = /^Name:\t(.*)$/m.exec(status)?.[1] ?? "";
    return [name, Number(/^Seccomp_filters:\t(\d+)$/m.exec(status)?.[1])];
  });
}

test("every thread has the process's filter and the core's threads one more", async () => {
  const own = filterCounts(process.pid)[0]?.[1] ?? 0;
  const child = Bun.spawn(childCommand("threads"), { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  const threads = filterCounts(child.pid);
  child.kill("SIGKILL");
  await child.exited;
  const isCore = ([name]: [string, number]) => /^io\d$/.test(name);

  expect(threads.filter(isCore).map(([, count]) => count - own)).toEqual([2, 2]);
  const others = threads.filter((thread) => !isCore(thread)).map(([, count]) => count - own);
  expect(new Set(others)).toEqual(new Set([1]));
});

const withKvm = test.skipIf(!existsSync("/dev/kvm"));

withKvm("vCPU threads run the guest under their own filter", async () => {
  const own = filterCounts(process.pid)[0]?.[1] ?? 0;
  const machine = await startMachine();
  const vcpus = filterCounts(machine.pid).filter(([name]) => name === "vcpu 0");
  machine.kill("SIGTERM");
  expect(vcpus).toEqual([["vcpu 0", own + 2]]);
  expect(await machine.exited).toBe(0);
});

withKvm("-disable-seccomp leaves every thread as it was", async () => {
  const own = filterCounts(process.pid)[0]?.[1] ?? 0;
  const machine = await startMachine("-disable-seccomp");
  const counts = filterCounts(machine.pid).map(([, count]) => count);
  machine.kill("SIGTERM");
  expect(new Set(counts)).toEqual(new Set([own]));
  expect(await machine.exited).toBe(0);
});
