// A log that cannot be written: lines are lost, the machine is not.

import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { diskMachine, untilItReads } from "./disk_machine.ts";

const UNSHARE = ["unshare", "--map-root-user", "--mount"] as const;
/** Mounts a small file system at $1, fills it, and becomes the rest. */
const FILL = [
  'mount -t tmpfs -o size=64k tmpfs "$1"',
  'head -c 1M /dev/zero >"$1/fill" 2>/dev/null || true',
  "shift",
  'exec "$@"',
].join("\n");
const environment = { STRATOVIRT_LOG_LEVEL: "trace" };

function canMount(): boolean {
  const { success } = Bun.spawnSync([...UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
  if (!success) console.log("skipped: the full log disk (tmpfs cannot be mounted here)");
  return success;
}

export function describeLog(): void {
  test.skipIf(!canMount())("a full disk under the log costs lines, never the machine", async () => {
    await using machine = diskMachine({
      argv: (folder) => {
        mkdirSync(folder.file("full"));
        return ["-D", `${folder.file("full")}/log`, "-trace", "type=all"];
      },
      program: (folder) => ({
        launcher: [...UNSHARE, "sh", "-c", FILL, "sh", folder.file("full")],
        environment,
      }),
    });
    const client = await machine.connect();
    await untilItReads(client);
    expect(await client.ask("query-mem")).toEqual({ return: {} });
    await untilItReads(client);
    expect(await client.ask("quit")).toEqual({ return: {} });
    expect((await machine.program.end).code).toBe(0);
  });

  test("a standard error that takes nothing costs lines, never the machine", async () => {
    await using machine = diskMachine({
      program: () => ({
        launcher: ["sh", "-c", 'exec "$@" 2>/dev/full', "sh"],
        environment,
      }),
    });
    const client = await machine.connect();
    expect(await client.ask("query-mem")).toEqual({ return: {} });
    await untilItReads(client);
    expect(await client.ask("quit")).toEqual({ return: {} });
    expect((await machine.program.end).code).toBe(0);
  });
}
