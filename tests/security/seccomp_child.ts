// A process that confines itself as a machine's process does, without KVM, and then does what its
// argument says. Started by the tests, because a filter stays for good.

import { closeSync, readFileSync } from "node:fs";
import { Core } from "../../src/core/core.ts";
import { confineProcess } from "../../src/host/seccomp.ts";

const REQUEST_COUNT = 10_000;

/** A client and a server of one socket, connected before the filter is there. */
async function connectedPair(path: string) {
  const answered = Promise.withResolvers<number>();
  let count = 0;
  const server = Bun.listen<undefined>({
    unix: path,
    socket: { data: (socket, chunk) => void socket.write(chunk) },
  });
  const client = await Bun.connect<undefined>({
    unix: path,
    socket: {
      data: (socket) => {
        count += 1;
        if (count === REQUEST_COUNT) answered.resolve(count);
        else socket.write('{"execute":"query-status"}\n');
      },
    },
  });
  return { server, client, answered: answered.promise };
}

/** Work that makes every tier of the compiler and the collector run. */
function warmUp(): number {
  let sum = 0;
  for (let round = 0; round < 200; round += 1) {
    const objects = Array.from({ length: 5000 }, (_, index) => ({ index, text: `x${index}` }));
    for (const { index, text } of objects) sum = (sum * 31 + index + text.length) | 0;
  }
  for (let step = 0; step < 50_000_000; step += 1) sum = (sum ^ step) | 0;
  Bun.gc(true);
  return sum;
}

const [action = "", socketPath = ""] = process.argv.slice(2);
const core = Core.create();
core.createThread("io1");
const pair = await connectedPair(socketPath);
confineProcess(core, 2);

switch (action) {
  case "endure":
    pair.client.write('{"execute":"query-status"}\n');
    warmUp();
    console.log(`answered ${await pair.answered}`);
    warmUp();
    pair.server.stop(true);
    core.destroy();
    process.exit(0);
    break;
  case "threads":
    console.log("ready");
    break;
  case "spawn":
    Bun.spawnSync(["/bin/true"]);
    break;
  case "connect":
    await Bun.connect({ hostname: "127.0.0.1", port: 1, socket: { data: () => {} } });
    break;
  case "again":
    confineProcess(core, 2);
    break;
  default:
    closeSync(0);
    readFileSync("/proc/self/statm");
}
