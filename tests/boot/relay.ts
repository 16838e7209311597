// Joins standard input and output to a unix socket: run beside the machine, it carries QMP to
// where the test is. Usage: bun relay.ts SOCKET. Waits for the socket, and ends when it does.

import { existsSync } from "node:fs";

const retryMs = 50;

const [path = ""] = process.argv.slice(2);
const ended = Promise.withResolvers<void>();
while (!existsSync(path)) await Bun.sleep(retryMs);
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
