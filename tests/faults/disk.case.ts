// A disk whose file is made shorter under its guest: requests fail, the log tells it.

import { expect, test } from "bun:test";
import { truncateSync } from "node:fs";
import type { Client } from "../qmp/client.ts";
import { untilFound } from "../support/until.ts";
import { diskMachine, scoreOf } from "./disk_machine.ts";

const MORE_REQUESTS = 100;

/** Waits until the guest has made so many requests more, whatever became of them. */
async function untilItDoes(client: Client, count: number): Promise<void> {
  const before = await scoreOf(client);
  await untilFound("more requests", async () => {
    const after = await scoreOf(client);
    return after.done > before.done + count ? after : undefined;
  });
}

export function describeDisk(): void {
  test("a disk that ends under its guest fails requests, which the log tells", async () => {
    await using machine = diskMachine();
    const client = await machine.connect();
    truncateSync(machine.folder.file("disk"), 0);
    await untilItDoes(client, MORE_REQUESTS);
    expect(await client.ask("quit")).toEqual({ return: {} });
    const { code, stderr } = await machine.program.end;
    expect(code).toBe(0);
    const lines = stderr.trimEnd().split("\n");
    const told = /:ERROR: device 'disk0': (\d+) requests failed, the last with EIO$/;
    const counts = lines.map((line) => Number(told.exec(line)?.[1]));
    const sum = counts.reduce((total, count) => total + count, 0);
    expect(sum).toBeGreaterThan(MORE_REQUESTS);
    // One a second, and not one a request.
    expect(lines.length).toBeLessThan(10);
  });
}
