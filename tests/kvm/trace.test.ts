// Trace events of a confined machine with a processor: exits and accesses from its thread, switched
// by -trace and by QMP while it runs.

import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, writePort } from "../support/x86.ts";

const POWER_OFF = writePort(0xce9, 0x34);
const EXIT_IO = 2;

/** The program with a payload, whose log is a file of its folder at level trace. */
function traced(code: Uint8Array, events: string, more: readonly string[] = []): PayloadProgram {
  return new PayloadProgram(
    code,
    (folder) => {
      writeFileSync(folder.file("events"), events);
      return [
        ...["-D", folder.file("log"), ...more],
        ...(events === "" ? [] : ["-trace", `events=${folder.file("events")}`]),
      ];
    },
    { program: () => ({ environment: { STRATOVIRT_LOG_LEVEL: "trace" } }) },
  );
}

function logOf(machine: PayloadProgram): string {
  return readFileSync(machine.folder.file("log"), "latin1");
}

describe.skipIf(!hasKvm)("-trace events=FILE", () => {
  test("logs the exits and register accesses of a vCPU's thread, in order", async () => {
    await using machine = traced(
      payload(print("A"), POWER_OFF),
      "^kvm_vcpu_run_exit$\n^serial_write$\n^vcpu_park$\n",
    );
    const { code, stderr } = await machine.program.end;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = logOf(machine)
      .split("\n")
      .filter((line) => line.includes(":TRACE: "));
    expect(lines.map((line) => line.slice(line.indexOf("TRACE: ") + 7))).toEqual([
      `[kvm_vcpu_run_exit] index=0 reason=${EXIT_IO}`,
      "[serial_write] addr=0x0 value=0x41",
      `[kvm_vcpu_run_exit] index=0 reason=${EXIT_IO}`,
      "[vcpu_park] index=0 reason=1",
    ]);
    const heads = lines.map((line) => /^\S+\.\d{9}: \[(\d+)\]\[(\d+)\]:TRACE/.exec(line));
    const threads = new Set(heads.map((head) => head?.[2]));
    expect(threads.size).toBe(1);
    expect(threads.has(String(machine.program.child.pid))).toBe(false);
    expect(heads[0]?.[1]).toBe(String(machine.program.child.pid));
  });

  test("needs a file that can be read", async () => {
    await using program = new Program(["-trace", "events=/missing", "-kernel", "/dev/null"]);
    expect(await program.end).toEqual({
      code: 1,
      stdout: "",
      stderr: "stratovirt: The file '/missing' (-trace) cannot be read (ENOENT); check the path.\n",
    });
  });
});

const UNSHARE = ["unshare", "--mount"] as const;
const MOUNT = 'mount -t tracefs tracefs "$1"';
/** Mounts the kernel's trace at $1, runs the rest, and prints what came into it meanwhile. */
const RUN_AND_PRINT = [
  `${MOUNT} && mount=$1 && shift`,
  'echo "begin $mount" >"$mount/trace_marker"',
  '"$@" || exit',
  `awk -v begin="begin $mount" 'index($0, begin) { seen = 1 } seen' "$mount/trace"`,
].join("\n");

function canTrace(): boolean {
  const command = [...UNSHARE, "sh", "-c", MOUNT, "sh", "/mnt"];
  const { success } = Bun.spawnSync(command, { stderr: "ignore" });
  if (!success) console.log("skipped: the kernel's trace (tracefs cannot be mounted here)");
  return success;
}

describe.skipIf(!hasKvm || !canTrace())("-trace backend=ftrace", () => {
  test("puts events into the kernel's trace, from the threads where they happen", async () => {
    await using machine = new PayloadProgram(
      payload(print("A"), POWER_OFF),
      ["-trace", "type=all,backend=ftrace"],
      {
        program: (folder) => {
          mkdirSync(folder.file("tracefs"));
          const launcher = ["sh", "-c", RUN_AND_PRINT, "sh", folder.file("tracefs")];
          return { launcher: [...UNSHARE, ...launcher] };
        },
      },
    );
    const { code, stdout, stderr } = await machine.program.end;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/ tracing_mark_write: \[serial_write\] addr=0x0 value=0x41\n/);
    expect(stdout).toMatch(/ tracing_mark_write: \[vcpu_park\] index=0 reason=1\n/);
    expect(stdout).toMatch(/ tracing_mark_write: \[vm_state\] state=running\n/);
    const threads = [...stdout.matchAll(/-(\d+) .*tracing_mark_write: \[(vcpu_park|vm_state)\]/g)];
    expect(new Set(threads.map(([, thread]) => thread)).size).toBe(2);
  });
});

describe.skipIf(!hasKvm)("trace-set-state", () => {
  test("switches events of a running machine, under its filters", async () => {
    await using machine = traced(payload(forever(print("x"))), "");
    const client = await machine.connect();
    await until("the guest's text", () => machine.printed.length > 0);
    const args = { name: "^serial_write$" };
    expect(await client.ask("trace-get-state", { arguments: args })).toEqual({
      return: [{ name: "serial_write", state: false }],
    });
    expect(logOf(machine)).not.toContain("serial_write");
    expect(await client.ask("trace-set-state", { arguments: { ...args, enable: true } })).toEqual({
      return: {},
    });
    await until("events in the log", () => logOf(machine).includes("[serial_write] addr=0x0"));
    expect(await client.ask("trace-get-state", { arguments: args })).toEqual({
      return: [{ name: "serial_write", state: true }],
    });
    await client.ask("trace-set-state", { arguments: { ...args, enable: false } });
    const seen = machine.printed.length;
    await until("more text", () => machine.printed.length > seen);
    expect(await client.ask("quit")).toEqual({ return: {} });
    expect((await machine.program.end).code).toBe(0);
  });

  test("refuses what is no regular expression with a sentence", async () => {
    await using machine = new PayloadProgram(payload(forever(print("x"))));
    const client = await machine.connect();
    const answer = await client.ask("trace-set-state", {
      arguments: { name: "serial(", enable: true },
    });
    expect(answer.error?.desc).toMatch(/^The trace pattern 'serial\(' is bad: .*/);
    expect(await client.ask("trace-get-state", { arguments: { name: "nothing" } })).toEqual({
      return: [],
    });
  });
});
