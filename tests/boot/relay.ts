// Joins standard input and output to a unix socket: run beside the machine, it carries QMP to
// where the test is. Usage: bun relay.ts SOCKET. Waits for the socket, and ends when it does.

import { existsSync } from "node:fs";
import { watch } from "node:fs/promises";
import { dirname } from "node:path";

const [path = ""] = process.argv.slice(2);
const ended = Promise.withResolvers<void>();
await untilThere(path);
const socket = await Bun.connect({
  unix: path,
  socket: {
    data: (_, bytes) => void process.stdout.write(bytes),
    close: () => ended.resolve(),
  },
});
process.stdin.on("data", (bytes: Buffer) => socket.write(bytes));
await ended.promise;
process.exit();

async function untilThere(file: string): Promise<void> {
  const changes = watch(dirname(file));
  if (existsSync(file)) return;
  for await (const _ of changes) if (existsSync(file)) return;
}
