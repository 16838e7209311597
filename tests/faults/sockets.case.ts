// Clients that come and go, or die in mid sentence: nothing of them stays, and the next is served.

import { expect, test } from "bun:test";
import { Client } from "../qmp/client.ts";
import type { Address, PayloadOptions, PayloadProgram } from "../support/payload_program.ts";
import type { TemporaryFolder } from "../support/temporary_folder.ts";
import { untilFound } from "../support/until.ts";
import { diskMachine, factsOf, untilItReads, untilNothingLeaked } from "./disk_machine.ts";

interface Socket {
  readonly argv: (folder: TemporaryFolder) => readonly string[];
  readonly address: (machine: PayloadProgram) => Address;
  /** What a client says before it goes. */
  readonly words: string;
  /** Where QMP is. */
  readonly options: () => PayloadOptions;
}

const SOCKETS: readonly (readonly [string, Socket])[] = Object.entries({
  "QMP's unix socket": {
    argv: () => [],
    address: ({ address }) => address,
    words: '{"execute":"query-sta',
    options: () => ({}),
  },
  "QMP's tcp port": {
    argv: () => [],
    address: ({ address }) => address,
    words: '{"execute":"query-status"}',
    options: () => ({ tcpPort: freePort() }),
  },
  "a character device": {
    argv: (folder) => [...["-chardev", `socket,id=c,path=${folder.file("c.sock")},server,nowait`]],
    address: ({ folder }) => ({ unix: folder.file("c.sock") }),
    words: "input that nobody reads",
    options: () => ({}),
  },
  "the metrics' socket": {
    argv: (folder) => ["-metrics", `unix:${folder.file("m.sock")}`],
    address: ({ folder }) => ({ unix: folder.file("m.sock") }),
    words: "GET /metrics HT",
    options: () => ({}),
  },
} satisfies Record<string, Socket>);

/** A port that nobody has now. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Connects, says something and is gone; resolves when the kernel knows. */
async function visit(address: Address, words: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const handler = { data() {}, close: () => resolve(), error: () => resolve() };
  const options = { ...address, socket: handler } as Bun.UnixSocketOptions<undefined>;
  // Refused while those before are on their way out.
  const socket = await untilFound("a connection", () =>
    Bun.connect(options).catch(() => undefined),
  );
  socket.write(words);
  socket.flush();
  socket.terminate();
  await promise;
}

export function describeSockets(visitCount: number): void {
  test.each(SOCKETS)(
    `${visitCount} clients come and go in mid sentence on %s, and nothing leaks`,
    async (_, { argv, address, words, options }) => {
      await using machine = diskMachine({ argv, ...options() });
      const first = await machine.connect();
      await untilItReads(first);
      await first.end();
      for (let warm = 0; warm < 10; warm += 1) await visit(address(machine), words);
      const before = factsOf(machine);
      for (let count = 0; count < visitCount; count += 1) {
        await visit(address(machine), words);
      }
      await untilNothingLeaked(machine, before);
      const client = await machine.connect();
      expect((await untilItReads(client)).data).toBe(0x0707_0707);
      expect(await client.ask("quit")).toEqual({ return: {} });
      expect((await machine.program.end).code).toBe(0);
    },
  );

  test("a QMP client that dies before its answer is obeyed, and the next is served", async () => {
    await using machine = diskMachine();
    const dying = await machine.connect();
    await untilItReads(dying);
    dying.send('{"execute":"stop"}');
    dying.die();
    const client = await machine.connect();
    expect(await client.answer("query-status")).toMatchObject({ return: { status: "paused" } });
    expect(await client.ask("cont")).toEqual({ return: {} });
    expect(await client.next()).toMatchObject({ event: "RESUME" });
    await untilItReads(client);
  });

  test("a client that sends without an end is told so and costs nothing", async () => {
    await using machine = diskMachine();
    const first = await machine.connect();
    await first.end();
    const before = factsOf(machine);
    const client = await Client.connect({ unix: machine.qmpPath });
    await client.next();
    const flood = `{"execute":"${"x".repeat(1024 * 1024)}`;
    for (let count = 0; count < 100; count += 1) client.send(flood);
    expect((await client.next()).error?.desc).toMatch(/^The request is longer than \d+ bytes/);
    await client.closed;
    await untilNothingLeaked(machine, before);
    await untilItReads(await machine.connect());
  });
}
