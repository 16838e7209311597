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
/**
 * Becomes the rest with a standard error that nobody reads until it has ended: then a child says
 * whether it was filled.
 */
const UNREAD = `
import os, socket, sys
ends = socket.socketpair() if sys.argv[1] == "socket" else None
ours, theirs = [end.fileno() for end in ends] if ends else os.pipe()
life, held = os.pipe()
if os.fork() > 0:
    os.dup2(theirs, 2)
    os.set_inheritable(held, True)
    os.execvp(sys.argv[2], sys.argv[2:])
for fd in held, theirs: os.close(fd)
os.read(life, 1)
room = os.read(ours, 1 << 20)
sys.stderr.write("full\\n" if len(room) >= 1 << 12 else room.decode())
`;
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

  test.each(["pipe", "socket"])(
    "a standard error that is a %s and never read costs lines, never the machine",
    async (kind) => {
      await using machine = diskMachine({
        argv: () => ["-trace", "type=all"],
        program: () => ({ launcher: ["python3", "-c", UNREAD, kind], environment }),
      });
      const client = await machine.connect();
      await untilItReads(client);
      expect(await client.ask("query-mem")).toEqual({ return: {} });
      expect(await client.ask("quit")).toEqual({ return: {} });
      const { code, stderr } = await machine.program.end;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "full\n" });
    },
  );

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
