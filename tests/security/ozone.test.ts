// ozone from outside and, by a probe, from inside its jail. Needs root.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { processesWithRoot } from "../../src/ozone/clean.ts";
import { until, World } from "./ozone_world.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot)
  console.warn("skipped: the tests of ozone make namespaces and mounts, which needs root");

const world = new World();
const NET_ADMIN = 1 << 12;

function processExists(pid: number): boolean {
  return existsSync(`/proc/${pid}/exe`) && !readFileSync(`/proc/${pid}/stat`).includes(") Z ");
}

describe.skipIf(!isRoot)("ozone", () => {
  beforeAll(() => world.prepare());
  afterAll(() => world.dispose());
  afterEach(async () => {
    await world.clean("jail");
    expect(world.leftovers()).toEqual([]);
  });

  test("gives the program its identity and takes all privileges", async () => {
    const { code, out } = await world.run([...world.options("jail"), "--", "report", "exit", "7"]);
    expect(out.split("\n")).toEqual(
      expect.arrayContaining([
        `argument /${world.base}`,
        "uid 1234 1234",
        "gid 2345 2345",
        "groups 0",
        "pid 1",
        "host Ozone",
        "effective 0",
        "permitted 0",
        "inheritable 0",
        "bounding 0",
        "ambient 0",
        "no_new_privs 1",
        "death_signal 9",
        "descriptors 3",
        "blocked 0",
        "folder /",
      ]),
    );
    expect(code).toBe(7);
  });

  test("shows the program its sources, its devices and nothing of the host", async () => {
    const { out } = await world.run([
      ...world.options("jail"),
      ...["-source", world.file, world.sourceFolder],
      "--",
      ...["list", "/", "stat", "/", "stat", "/dev", "stat", "/dev/net", "stat", "/disk"],
      ...["stat", "/share/inner", "stat", "/dev/kvm", "stat", "/dev/net/tun"],
      ...["stat", "/dev/vhost-net", "stat", "/dev/vhost-vsock", "stat", "/dev/urandom"],
      ...["stat", "/dev/null", "open", "/dev/null", "open", "/disk", "stat", "/etc"],
    ]);
    const lines = out.trim().split("\n").slice(1);
    const entries = lines.filter((line) => line.startsWith("entry ")).sort();
    const names = [".", "..", "dev", "disk", world.base, "share"];
    expect(entries).toEqual(names.map((name) => `entry ${name}`).sort());
    expect(lines.filter((line) => !line.startsWith("entry "))).toEqual([
      "stat / 1234:2345 40700 0:0",
      "stat /dev 1234:2345 40700 0:0",
      "stat /dev/net 1234:2345 40700 0:0",
      "stat /disk 1234:2345 100644 0:0",
      "stat /share/inner 0:0 100644 0:0",
      "stat /dev/kvm 1234:2345 20660 10:232",
      "stat /dev/net/tun 1234:2345 20666 10:200",
      "stat /dev/vhost-net 1234:2345 20600 10:238",
      "stat /dev/vhost-vsock 1234:2345 20600 10:241",
      "stat /dev/urandom 1234:2345 20666 1:9",
      "stat /dev/null 1234:2345 20666 1:3",
      "open /dev/null SUCCESS",
      "open /disk SUCCESS",
      "stat /etc missing",
    ]);
  });

  test("opens its devices and program where the folder of jails allows neither", async () => {
    const setup = "mount -t tmpfs -o nodev,noexec none /srv";
    const options = [...world.options("jail"), "--", "open", "/dev/null"];
    const { out } = await world.runIn(["-m"], setup, options);
    expect(out).toContain("open /dev/null SUCCESS");
  });

  test("leaves a source on read-only storage to its owner, and says so", async () => {
    const folder = `${world.folder}/image`;
    mkdirSync(folder);
    const setup = `mount --bind ${folder} ${folder} && mount -o remount,ro,bind ${folder}`;
    const options = [...world.options("jail"), "-source", folder];
    const words = ["--", "stat", "/image", "write", "/image/new"];
    const { out, error } = await world.runIn(["-m"], setup, [...options, ...words]);
    expect(error).toContain("image keeps its owner, since its file system is read-only.");
    expect(out).toContain("stat /image 0:0 40755");
    expect(out).toContain("write /image/new ROFS");
  });

  test("keeps the named capabilities in all five sets", async () => {
    const options = [...world.options("jail"), "-capability", "cap_net_admin"];
    const { out } = await world.run([...options, "--", "report"]);
    const bits = NET_ADMIN.toString(16);
    for (const set of ["effective", "permitted", "inheritable", "bounding", "ambient"]) {
      expect(out).toContain(`${set} ${bits}\n`);
    }
  });

  test("takes the capabilities of user 0 as well", async () => {
    const options = ["-name", "jail", "-exec-file", world.program, "-uid", "0", "-gid", "0"];
    const { out } = await world.run([...options, "--", "report"]);
    expect(out).toContain("uid 0 0\n");
    expect(out).toContain("effective 0\npermitted 0\ninheritable 0\nbounding 0\nambient 0\n");
  });

  test("warns of a capability that opens the jail", async () => {
    const options = [...world.options("jail"), "-capability", "CAP_SYS_ADMIN,CAP_CHOWN"];
    const { error } = await world.run([...options, "--"]);
    expect(error.trim().split("\n")).toHaveLength(1);
    expect(error).toContain("CAP_SYS_ADMIN lets the program act outside its jail");
  });

  test("binds the executable read-only instead of copying it", async () => {
    const options = ["-name", "jail", "-exec_file", world.program, "-uid", "0", "-gid", "0"];
    const kept = ["-capability", "CAP_FOWNER"];
    const change = ["chmod", `/${world.base}`];
    const { out, error } = await world.run([...options, ...kept, "--", ...change]);
    expect(out).toContain(`chmod /${world.base} ROFS`);
    expect(error).toBe("");
  });

  test("copies an executable that the user may not execute, and says so", async () => {
    chmodSync(world.program, 0o700);
    const { code, error } = await world.run([...world.options("jail"), "--", "exit", "3"]);
    chmodSync(world.program, 0o755);
    expect(error).toContain("is copied into the jail");
    expect(code).toBe(3);
  });

  test("sets resource limits", async () => {
    const limits = ["-rlimit", "nofile=77:99,core=0"];
    const { out } = await world.run([...world.options("jail"), ...limits, "--", "report"]);
    expect(out).toContain("limit NOFILE 77 99\nlimit CORE 0 0\n");
  });

  test("passes on only the program's own environment", async () => {
    const options = [...world.options("jail"), "--", "report"];
    const given = { STRATOVIRT_LOG_LEVEL: "debug", SECRET: "x", TERM: "dumb" };
    const { out } = await world.run(options, given);
    const seen = out.split("\n").filter((line) => line.startsWith("environment "));
    expect(seen.sort()).toEqual([
      "environment STRATOVIRT_LOG_LEVEL=debug",
      "environment TERM=dumb",
    ]);
  });

  test("puts the program into namespaces of its own", async () => {
    const { child, pid } = await world.startWaiting(world.options("jail"));
    const differing = ["mnt", "uts", "ipc", "pid", "net"].filter(
      (kind) => readlinkSync(`/proc/${pid}/ns/${kind}`) !== readlinkSync(`/proc/self/ns/${kind}`),
    );
    child.kill("SIGTERM");
    expect(await child.exited).toBe(15);
    expect(differing).toEqual(["mnt", "uts", "ipc", "pid"]);
  });

  test("joins a network namespace", async () => {
    const holder = Bun.spawn(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 60"]);
    const ready = await holder.stdout.getReader().read();
    expect(new TextDecoder().decode(ready.value)).toBe("ready\n");
    const path = `/proc/${holder.pid}/ns/net`;
    const { child, pid } = await world.startWaiting([...world.options("jail"), "-netns", path]);
    const joined = readlinkSync(`/proc/${pid}/ns/net`);
    const wanted = readlinkSync(path);
    child.kill("SIGTERM");
    holder.kill();
    expect(await child.exited).toBe(15);
    expect(joined).toBe(wanted);
  });

  test("leaves the program among the host's processes on request", async () => {
    const options = [...world.options("jail"), "-no-pid-namespace"];
    const { out } = await world.run([...options, "--", "report"]);
    expect(Number(/^pid (\d+)$/m.exec(out)?.[1])).toBeGreaterThan(1);
  });

  test.each([
    ["SIGTERM", 15],
    ["SIGINT", 2],
    ["SIGHUP", 1],
    ["SIGUSR1", 10],
  ] as const)("forwards %s and ends with the program's code", async (signal, code) => {
    const { child } = await world.startWaiting(world.options("jail"));
    child.kill(signal);
    expect(await child.exited).toBe(code);
  });

  test("ends with 128 and the signal that ended the program", async () => {
    const { child, pid } = await world.startWaiting(world.options("jail"));
    process.kill(pid, "SIGKILL");
    expect(await child.exited).toBe(137);
  });

  test("takes the program along when it is killed", async () => {
    const { child, pid } = await world.startWaiting(world.options("jail"));
    child.kill("SIGKILL");
    await child.exited;
    await until(() => !processExists(pid));
    expect((await world.clean("jail")).code).toBe(0);
  });

  test("keeps a daemon's namespace until the daemon ends", async () => {
    const { code } = await world.run([...world.options("jail"), "--", "-daemonize"]);
    expect(code).toBe(0);
    const root = world.rootOf("jail");
    await until(() => existsSync(`${root}/daemon`));
    const inside = processesWithRoot(root);
    expect(inside).toHaveLength(2);
    const refused = await world.clean("jail");
    expect(refused.code).toBe(1);
    expect(refused.error).toContain("The jail 'jail' is in use by process");
    process.kill(inside[0] ?? 0, "SIGTERM");
    await until(() => processesWithRoot(root).length === 0);
  });
});
