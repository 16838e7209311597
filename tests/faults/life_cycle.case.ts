// A guest under I/O whose machine is stopped and let go again and again, or whose control plane
// hangs: its disk never notices.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import {
  askPaced,
  diskMachine,
  factsOf,
  scoreOf,
  untilItReads,
  untilNothingLeaked,
} from "./disk_machine.ts";

const BLOCKED_MS = 2000;
const ALL_SEVENS = 0x0707_0707;

export function describeLifeCycle(cycleCount: number): void {
  test(`${cycleCount} times stop and cont under I/O lose nothing and leak nothing`, async () => {
    await using machine = diskMachine();
    const client = await machine.connect();
    await untilItReads(client);
    const before = factsOf(machine);
    for (let cycle = 0; cycle < cycleCount; cycle += 1) {
      for (const [command, event] of [
        ["stop", "STOP"],
        ["cont", "RESUME"],
      ] as const) {
        expect(await askPaced(client, command)).toEqual({ return: {} });
        expect((await client.next()).event).toBe(event);
      }
    }
    const { data } = await untilItReads(client);
    expect(data).toBe(ALL_SEVENS);
    await untilNothingLeaked(machine, before);
    expect(await client.ask("quit")).toEqual({ return: {} });
    expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("an event loop that hangs for two seconds is not noticed by the guest", async () => {
    await using machine = diskMachine({
      program: () => ({ preload: join(checkout, "tests/support/block_event_loop.ts") }),
    });
    const client = await machine.connect();
    const before = await untilItReads(client);
    machine.program.child.kill("SIGUSR2");
    const blockedAt = performance.now();
    while (performance.now() - blockedAt < BLOCKED_MS) await askPaced(client, "query-version");
    const after = await scoreOf(client);
    const elapsed = after.now - before.now;
    expect(after.longest).toBeLessThan(elapsed / 4);
    expect(after.done - before.done).toBeGreaterThan(100);
    expect(after.data).toBe(ALL_SEVENS);
  });
}
