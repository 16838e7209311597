// The whole program with a payload as its guest: how it starts, pauses and ends, what it says over
// QMP and on standard error, and with which exit code (behaviour 0.1, 1.11, 2.4).

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { Client } from "../qmp/client.ts";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { Program } from "../support/program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until, untilFound } from "../support/until.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";

const RESET = writePort(0xcf9, 0x06);
const spin = payload(print("!"), forever(x86.pause));

const ENDS: [string, Uint8Array, string][] = [
  ["the keyboard controller's reset", payload(writePort(0x64, 0xfe)), "guest-reset"],
  ["the reset register", payload(RESET), "guest-reset"],
  ["ACPI power-off", payload(writePort(0xce9, 0x34)), "guest-shutdown"],
  [
    "a triple fault",
    payload(x86.movEdi(0x20_0000), x86.loadInterruptTable, x86.undefined),
    "guest-reset",
  ],
];

describe.skipIf(!hasKvm)("a guest's end", () => {
  test.each(ENDS)("by %s is told over QMP, and the exit code is 0", async (...row) => {
    const [, code, reason] = row;
    await using machine = new PayloadProgram(code, ["-S"]);
    const client = await machine.connect();
    expect(await client.ask("cont")).toMatchObject({ return: {} });
    const events = await client.take(2);
    expect(events.map(({ event, data }) => ({ event, data }))).toEqual([
      { event: "RESUME", data: {} },
      { event: "SHUTDOWN", data: { guest: true, reason } },
    ]);
    await client.closed;
    expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(existsSync(machine.qmpPath)).toBe(false);
  });

  test("keeps its last words", async () => {
    await using machine = new PayloadProgram(payload(print("last words"), RESET));
    expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(machine.printed).toBe("last words");
  });

  test("options that have no effect are told at level debug, one a line", async () => {
    const options = "-usb -rtc base=utc -boot strict=on -global pcie-root-port.fast-unplug=1";
    const environment = { STRATOVIRT_LOG_LEVEL: "debug" };
    const program = () => ({ environment });
    await using machine = new PayloadProgram(payload(RESET), options.split(" "), { program });
    const { code, stderr } = await machine.program.end;
    expect(code).toBe(0);
    const told = [...stderr.matchAll(/^[^ ]+ \[\d+\]\[\d+\]:DEBUG: (\S+) has no effect$/gm)];
    expect(told.map(([, option]) => option)).toEqual(["-usb", "-rtc", "-boot", "-global"]);
  });

  test("by running into nothing is one line with registers, and the exit code is 1", async () => {
    const code = payload(x86.movEax(0xd000_0000), x86.jumpToRax);
    await using machine = new PayloadProgram(code);
    const { code: exitCode, stdout, stderr } = await machine.program.end;
    expect(exitCode).toBe(1);
    expect(stdout).toBe("");
    const registers = "rip=0xd0000000 rsp=0x8ff0 rflags=0x[0-9a-f]+ rax=0xd0000000 .*cr3=0x9000";
    expect(stderr).toMatch(new RegExp(`^[^\n]*vCPU 0 cannot go on: .*${registers}[^\n]*\n$`));
    expect(existsSync(machine.qmpPath)).toBe(false);
  });
});

describe.skipIf(!hasKvm)("the host's end of a guest", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("by %s has exit code 0", async (signal) => {
    await using machine = new PayloadProgram(spin);
    const client = await machine.connect();
    await until("the guest's start", () => machine.printed === "!");
    machine.program.child.kill(signal);
    expect(await client.next()).toMatchObject({
      event: "SHUTDOWN",
      data: { guest: false, reason: "host-signal" },
    });
    expect(await machine.program.end).toMatchObject({ code: 0, stdout: "" });
    expect(existsSync(machine.qmpPath)).toBe(false);
  });

  test.each([
    ["query-qmp-schema", {}],
    ["query-command-line-options", { option: "m" }],
    ["trace-get-state", { name: "^serial_read$" }],
  ])("does not come by %s, whose code is loaded late", async (command, args) => {
    await using machine = new PayloadProgram(spin);
    const client = await machine.connect();
    expect(await client.ask(command, { arguments: args })).toHaveProperty("return");
    expect(await client.ask("query-status")).toMatchObject({ return: { running: true } });
  });

  test.each([
    ["quit", "host-qmp-quit"],
    ["system_powerdown", "host-qmp-quit"],
    ["system_reset", "host-qmp-system-reset"],
  ])("by %s answers first, also when the guest is paused", async (command, reason) => {
    await using machine = new PayloadProgram(spin, ["-S"]);
    const client = await machine.connect();
    expect(await client.ask(command)).toMatchObject({ return: {} });
    expect(await client.next()).toMatchObject({
      event: "SHUTDOWN",
      data: { guest: false, reason },
    });
    expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

describe.skipIf(!hasKvm)("pauses", () => {
  test("-S starts paused, and cont runs the guest", async () => {
    await using machine = new PayloadProgram(payload(print("ran"), forever(x86.pause)), ["-S"]);
    const client = await machine.connect();
    expect(await client.ask("query-status")).toMatchObject({
      return: { running: false, status: "paused" },
    });
    expect(machine.printed).toBe("");
    await client.ask("cont");
    await until("the guest's text", () => machine.printed === "ran");
    expect(await client.next()).toMatchObject({ event: "RESUME" });
    expect(await client.ask("query-status")).toMatchObject({
      return: { running: true, status: "running" },
    });
  });

  test("the guest stands still while it is stopped, and goes on after cont", async () => {
    await using machine = new PayloadProgram(payload(forever(print("x"))));
    const client = await machine.connect();
    let seen = 0;
    for (let round = 0; round < 5; round += 1) {
      await until("more text", () => machine.printed.length > seen);
      const answers = [await client.ask("stop"), await client.next()];
      expect(answers.map(({ event }) => event).filter(Boolean)).toEqual(["STOP"]);
      await until("the port's last text", () => {
        const before = seen;
        seen = machine.printed.length;
        return seen === before;
      });
      for (let asked = 0; asked < 5; asked += 1) {
        expect(await client.ask("query-status")).toMatchObject({ return: { running: false } });
      }
      expect(machine.printed.length).toBe(seen);
      const resumed = [await client.ask("cont"), await client.next()];
      expect(resumed.map(({ event }) => event).filter(Boolean)).toEqual(["RESUME"]);
    }
  });
});

test("the machine none answers what libvirt asks, with and without KVM", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("qmp");
  const argv = ["-machine", "none", "-nodefaults", "-no-user-config", "-nographic"];
  await using program = new Program([...argv, "-qmp", `unix:${path},server,nowait`]);
  const client = await untilFound("the QMP socket", () =>
    Client.connect({ unix: path }).catch(() => undefined),
  );
  expect(await client.next()).toHaveProperty("QMP");
  const questions = ["query-version", "query-kvm", "query-machines", "qom-list-types"];
  const more = ["query-command-line-options", "query-qmp-schema", "query-migrate-capabilities"];
  for (const question of ["qmp_capabilities", ...questions, ...more]) {
    expect(await client.ask(question)).toHaveProperty("return");
  }
  expect(await client.ask("quit")).toEqual({ return: {} });
  expect(await program.end).toEqual({ code: 0, stdout: "", stderr: "" });
});
