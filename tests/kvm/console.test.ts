// Consoles of the whole program: a guest that waits for its first client, a monitor over tcp, a
// full disk, a terminal that takes nothing.

import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import { Client } from "../qmp/client.ts";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { PseudoTerminal } from "../support/pseudo_terminal.ts";
import { SocketClient } from "../support/socket_client.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until, untilFound } from "../support/until.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";

const greeting = payload(print("!"), forever(x86.pause));
const farewell = payload(print("last words"), writePort(0xcf9, 0x06));

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

/** A console that waits for its client at a path of the folder. */
function waitingConsole(folder: TemporaryFolder): string[] {
  return [
    ...["-chardev", `socket,id=c,path=${folder.file("console.sock")},server`],
    ...["-device", "virtio-serial-device", "-device", "virtconsole,id=v,chardev=c"],
    ...["-D", folder.file("log")],
  ];
}

describe.skipIf(!hasKvm)("a socket with server and without nowait", () => {
  test("keeps the guest from starting until a client has come", async () => {
    using folder = new TemporaryFolder();
    await using machine = new PayloadProgram(greeting, waitingConsole(folder), {
      program: () => ({ environment: { STRATOVIRT_LOG_LEVEL: "warn" } }),
    });
    const monitor = await machine.connect();
    expect(await monitor.ask("query-status")).toMatchObject({ return: { running: false } });
    const place = `the socket '${folder.file("console.sock")}'`;
    expect(readFileSync(folder.file("log"), "latin1")).toEndWith(
      `chardev 'c': the guest starts when a client connects to ${place}\n`,
    );
    expect(machine.printed).toBe("");
    const client = await SocketClient.connect(folder.file("console.sock"));
    await until("the guest's start", () => machine.printed === "!");
    expect(await monitor.ask("query-status")).toMatchObject({ return: { running: true } });
    await client.close();
  });

  test("ends by a signal while it waits", async () => {
    using folder = new TemporaryFolder();
    await using machine = new PayloadProgram(greeting, waitingConsole(folder));
    await machine.connect();
    machine.program.child.kill("SIGTERM");
    expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(machine.printed).toBe("");
  });

  test("gives way to cont, and does not start the guest a second time", async () => {
    using folder = new TemporaryFolder();
    await using machine = new PayloadProgram(greeting, waitingConsole(folder));
    const monitor = await machine.connect();
    await monitor.ask("cont");
    await until("the guest's start", () => machine.printed === "!");
    expect((await monitor.next()).event).toBe("RESUME");
    await monitor.ask("stop");
    expect((await monitor.next()).event).toBe("STOP");
    const client = await SocketClient.connect(folder.file("console.sock"));
    expect(await monitor.ask("query-status")).toMatchObject({ return: { running: false } });
    await client.close();
  });
});

describe.skipIf(!hasKvm)("chardevs", () => {
  test("-mon serves QMP over tcp", async () => {
    const port = freePort();
    const monitor = ["-mon", "chardev=m,mode=control"];
    const chardev = `socket,id=m,host=127.0.0.1,port=${port},server,nowait`;
    await using machine = new PayloadProgram(greeting, ["-chardev", chardev, ...monitor]);
    await until("the guest's start", () => machine.printed === "!");
    const client = await Client.connect({ hostname: "127.0.0.1", port });
    expect(await client.next()).toHaveProperty("QMP");
    expect(await client.ask("query-status")).toMatchObject({ return: { running: true } });
  });

  test("a serial port over tcp and one on a pseudo terminal serve under the filters", async () => {
    const port = freePort();
    const tcp = `socket,host=::1,port=${port},server,nowait`;
    await using first = new PayloadProgram(greeting, [], { serial: tcp });
    await first.connect();
    for (const _ of [1, 2]) {
      const client = await SocketClient.connect({ hostname: "::1", port });
      client.send("anybody there?");
      await client.close();
    }
    await using second = new PayloadProgram(payload(forever(print("x"))), [], { serial: "pty" });
    const monitor = await second.connect();
    const answer = await monitor.ask("query-chardev");
    const [{ filename }] = answer.return as [{ filename: string }];
    for (const _ of [1, 2]) {
      const terminal = openSync(
        filename.replace("pty:", ""),
        constants.O_RDWR | constants.O_NOCTTY,
      );
      const buffer = new Uint8Array(64);
      expect(readSync(terminal, buffer)).toBeGreaterThan(0);
      closeSync(terminal);
    }
    for (const machine of [first, second]) {
      machine.program.child.kill("SIGTERM");
      expect(await machine.program.end).toMatchObject({ code: 0, stderr: "" });
    }
  });

  test("output for a full disk is told of once and counted, and the guest runs on", async () => {
    await using machine = new PayloadProgram(farewell, [], { serial: "file,path=/dev/full" });
    const { code, stderr } = await machine.program.end;
    const lines = stderr.split("\n").map((line) => line.replace(/.*:ERROR: /, ""));
    expect(code).toBe(0);
    expect(lines).toEqual([
      "chardev 'serial_chardev': the file '/dev/full' takes no output (ENOSPC); it is lost",
      "chardev 'serial_chardev': 10 bytes of output were lost",
      "",
    ]);
  });

  test("a terminal that takes nothing stops no thread but the guest's port", async () => {
    using folder = new TemporaryFolder();
    using terminal = await PseudoTerminal.open();
    const before = await terminal.mode();
    await using flooding = new PayloadProgram(payload(forever(print("0123456789"))));
    await flooding.connect();
    const qmpPath = folder.file("qmp.sock");
    const machine = Bun.spawn(
      [
        ...[process.execPath, join(checkout, "src/main.ts"), "-machine", "microvm", "-m", "128M"],
        ...["-kernel", flooding.folder.file("kernel"), "-serial", "stdio"],
        ...["-qmp", `unix:${qmpPath},server,nowait`],
      ],
      { stdin: terminal.inner, stdout: terminal.inner, stderr: "ignore" },
    );
    const monitor = await untilFound("the QMP socket", () =>
      Client.connect({ unix: qmpPath }).catch(() => undefined),
    );
    await monitor.next();
    await until("a full terminal", () => terminal.isFull);
    await monitor.ask("quit");
    expect(await machine.exited).toBe(0);
    expect(await terminal.mode()).toBe(before);
  });
});
