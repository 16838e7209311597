// The static executable runs a machine in a root that holds nothing but itself and /dev/kvm, and
// becomes a daemon that says truthfully whether it is up.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildArchitecture } from "../../scripts/build.ts";
import { Client } from "../qmp/client.ts";
import { until } from "../support/until.ts";
import { BUILD_TIMEOUT_MS, chroot, emptyRoot, execute, NOBODY } from "./probe.ts";

const canRun = existsSync("/dev/kvm") && process.getuid?.() === 0;
if (!canRun) console.log("skipped: needs root and /dev/kvm");

/** A flat kernel is entered at its first byte: `ud2` has no handler, so a triple fault follows. */
const TRIPLE_FAULT = [0x0f, 0x0b];
/** `hlt`, then a jump back to it. */
const IDLE = [0xf4, 0xeb, 0xfd];

describe.skipIf(!canRun)("the static executable", () => {
  let root: ReturnType<typeof emptyRoot>;
  let path: (name: string) => string;
  beforeAll(() => {
    root = emptyRoot([buildArchitecture("x86_64")]);
    path = (name) => join(root.path, name);
    writeFlatKernel(path("fault"), TRIPLE_FAULT);
    writeFlatKernel(path("idle"), IDLE);
    mkdirSync(path("dev"));
    execute(["mknod", path("dev/kvm"), "c", "10", "232"]);
    chmodSync(path("dev/kvm"), 0o666);
    mkdirSync(path("run"));
    chmodSync(path("run"), 0o777);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => root[Symbol.dispose]());

  const machine = (...more: string[]): string[] => [
    "/stratovirt",
    ...["-machine", "microvm", "-m", "128M"],
    ...more,
  ];

  test.each([0, NOBODY])("runs a guest with nothing but /dev/kvm as user %d", (user) => {
    const outcome = execute([...chroot(root.path, user), ...machine("-kernel", "/fault")]);
    expect(outcome).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  });

  test("is a daemon that is up when the command returns, and removes its pid file", async () => {
    const options = ["-kernel", "/idle", "-daemonize", "-pidfile", "/run/pid", "-D", "/run/log"];
    const outcome = execute([...chroot(root.path, 0), ...machine(...options)]);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    const pid = Number(readFileSync(path("run/pid"), "utf8"));
    expect(sessionOf(pid)).not.toBe(sessionOf(process.pid));
    process.kill(pid, "SIGTERM");
    await until("the pid file to go", () => !existsSync(path("run/pid")));
    expect(readFileSync(path("run/log"), "utf8")).toBe("");
    rmSync(path("run/log"));
  });

  test("turns its log over at a new day while its filters are on", async () => {
    writeFileSync(path("run/log"), "an older day\n");
    utimesSync(path("run/log"), 0, 0);
    const options = ["-kernel", "/idle", "-daemonize", "-pidfile", "/run/pid", "-D", "/run/log"];
    execute([...chroot(root.path, 0), ...machine(...options)], {
      variables: { STRATOVIRT_LOG_LEVEL: "info" },
    });
    process.kill(Number(readFileSync(path("run/pid"), "utf8")), "SIGTERM");
    await until("the pid file to go", () => !existsSync(path("run/pid")));
    expect(readFileSync(path("run/log1"), "utf8")).toBe("an older day\n");
    expect(readFileSync(path("run/log"), "utf8")).toContain("ended by SIGTERM");
  });

  test("serves metrics, and traces when QMP asks for it, while its filters are on", async () => {
    const sockets = ["-metrics", "unix:/run/metrics", "-qmp", "unix:/run/qmp,server,nowait"];
    const options = ["-kernel", "/idle", "-D", "/run/trace.log", ...sockets];
    const program = Bun.spawn([...chroot(root.path, 0), ...machine(...options)], {
      env: { STRATOVIRT_LOG_LEVEL: "trace" },
    });
    await until("the metrics' socket", () => existsSync(path("run/metrics")));
    const scrape = await fetch("http://localhost/metrics", { unix: path("run/metrics") });
    expect(await scrape.text()).toContain('stratovirt_machine_state{state="running"} 1\n');
    const client = await Client.connect({ unix: path("run/qmp") });
    await client.next();
    const events = { name: "^(vm_state|vcpu_state)$", enable: true };
    expect(await client.ask("trace-set-state", { arguments: events })).toEqual({ return: {} });
    expect(await client.ask("stop")).toEqual({ return: {} });
    expect(await client.answer("quit")).toEqual({ return: {} });
    expect(await program.exited).toBe(0);
    const log = readFileSync(path("run/trace.log"), "utf8");
    expect(log).toContain("]:TRACE: [vm_state] state=paused\n");
    expect(log).toMatch(/\]:TRACE: \[vcpu_state\] index=0 state=\d\n/);
  });

  test("a daemon that cannot start returns 1 and its sentence, and leaves nothing", () => {
    const options = ["-kernel", "/absent", "-daemonize", "-pidfile", "/run/pid"];
    const outcome = execute([...chroot(root.path, 0), ...machine(...options)]);
    expect(outcome).toMatchObject({
      exitCode: 1,
      stderr: "stratovirt: The kernel '/absent' (-kernel) does not exist; check the path.\n",
    });
    expect(existsSync(path("run/pid"))).toBe(false);
  });
});

function writeFlatKernel(path: string, code: readonly number[]): void {
  const image = new Uint8Array(4096);
  image.set(code);
  writeFileSync(path, image);
}

/** Field 6 of /proc/PID/stat, counted after the name in brackets (proc(5)). */
function sessionOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[3]);
}
