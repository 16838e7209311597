// Run beside a machine: sends random bytes through a port whose guest sends them back, and types a
// command on a console; tells as JSON what came of it. Usage: bun console_talk.ts CONSOLE PORT SIZE

import type { Socket } from "bun";

export interface Talk {
  readonly sentBytes: number;
  readonly areEqual: boolean;
  /** What the console answered. */
  readonly answer: string;
}

const [consolePath = "", portPath = "", size = "0"] = process.argv.slice(2);

/** Connects; resolves when what has come so far is enough. */
function talk(path: string, bytes: Uint8Array, isEnough: (got: Buffer) => boolean) {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let got = Buffer.alloc(0);
  let rest = bytes;
  const push = (socket: Socket<undefined>) => {
    rest = rest.subarray(Math.max(0, socket.write(rest)));
  };
  Bun.connect<undefined>({
    unix: path,
    socket: {
      open: push,
      drain: push,
      data(_, chunk) {
        got = Buffer.concat([got, chunk]);
        if (isEnough(got)) resolve(got);
      },
      error: (_, error) => reject(error),
    },
  } as Bun.UnixSocketOptions<undefined>).catch(reject);
  return promise;
}

const sent = crypto.getRandomValues(new Uint8Array(Number(size)));
const echoed = await talk(portPath, sent, ({ length }) => length >= sent.length);
const typed = new TextEncoder().encode("echo sum-$((40 + 2))\r");
const shown = await talk(consolePath, typed, (got) => got.includes("sum-42"));
const result: Talk = {
  sentBytes: sent.length,
  areEqual: echoed.equals(sent),
  answer: /sum-\d+/.exec(shown.toString())?.[0] ?? "",
};
process.stdout.write(JSON.stringify(result));
process.exit(0);
