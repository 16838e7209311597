// QMP on a guest that boots: it waits to be started, stands still while stopped, and goes on.

import { beforeAll, expect, test } from "bun:test";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { Monitor } from "./monitor.ts";

beforeAll(guestHost, prepareTimeoutMs);

test("stop and cont during a boot of four vCPUs, and quit", async () => {
  const guest = await Guest.start({
    cpuCount: 4,
    disk: "none",
    script: "echo cpus: $(nproc); while true; do echo tick; done",
    more: ["-S", "-qmp", "unix:$NAME.qmp,server,nowait"],
  });
  const monitor = await Monitor.connect(`${guest.name}.qmp`);
  expect(await monitor.ask("query-status")).toMatchObject({ status: "paused", running: false });
  expect(guest.console).toBe("");

  await monitor.ask("cont");
  await guest.shows(/init reached/);
  await monitor.ask("stop");
  expect(await monitor.ask("query-status")).toMatchObject({ status: "paused", running: false });
  await monitor.ask("cont");
  await guest.shows(/cpus: 4/);
  await guest.shows(/tick/);

  await monitor.ask("stop");
  await monitor.silence(() => guest.console);
  guest.skip();
  await monitor.ask("cont");
  await guest.shows(/tick/);

  await monitor.ask("quit");
  const { code, log } = await guest.outcome();
  expect(code).toBe(0);
  expect(log).toContain("INFO: the machine was ended by quit");
  expect(monitor.events).toEqual(["RESUME", "STOP", "RESUME", "STOP", "RESUME", "SHUTDOWN"]);
});
