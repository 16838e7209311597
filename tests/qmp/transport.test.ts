// What goes over the socket: framing, floods, garbage, clients that come and go.

import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { serveQmp } from "../../src/qmp/server.ts";
import { Client } from "./client.ts";
import { FakeMachine } from "./fake_machine.ts";
import { withServer } from "./harness.ts";

const qmp = withServer();

test("the greeting names a QEMU version and our own", async () => {
  const client = await Client.connect({ unix: qmp.path });
  expect(await client.next()).toEqual({
    QMP: {
      version: { qemu: { micro: 1, minor: 0, major: 5 }, package: "StratoVirt-0.1.0" },
      capabilities: [],
    },
  });
});

test("several commands in one read are answered in order", async () => {
  const client = await qmp.greeted();
  client.send('{"execute":"query-kvm","id":1}\r\n\r\n {"execute":"query-kvm","id":2}');
  expect((await client.take(2)).map((message) => message.id)).toEqual([1, 2]);
});

test("a command over many reads is put together", async () => {
  const client = await qmp.greeted();
  for (const letter of '{"execute":"query-kvm","id":"{é\\"}"}') {
    client.send(letter);
    await new Promise(setImmediate);
  }
  expect(await client.next()).toMatchObject({ id: '{é"}' });
});

test.each([
  "12345678901234567890",
  "-9007199254740993",
  "1e400",
  "1.5",
  "0",
  "true",
  "null",
  '"\\ud800"',
  '[1,{"id":2}]',
  `${"[".repeat(20_000)}${"]".repeat(20_000)}`,
])("the id %s comes back as it was sent", async (id) => {
  const client = await qmp.greeted();
  client.send(`{"id":${id},"execute":"query-kvm","arguments":{"id":98765432109876543210}}`);
  client.send(`{"execute":"query-target","id":${id}}`);
  const error = {
    class: "GenericError",
    desc: "Unknown argument 'id' of 'query-kvm'. It takes none.",
  };
  expect(await client.nextText()).toBe(`{"error":${JSON.stringify(error)},"id":${id}}`);
  expect(await client.nextText()).toBe(`{"return":{"arch":"x86_64"},"id":${id}}`);
});

test("garbage gets one error a line, and the next line works", async () => {
  const client = await qmp.greeted();
  client.send('hello {"execute":"stop"}\nquery-status\n{"execute":"query-kvm","id":9}');
  const [first, second, third] = await client.take(3);
  const desc = 'Bad request: expected a JSON object like {"execute":"query-status"}.';
  expect(first).toEqual({ error: { class: "GenericError", desc } });
  expect(second).toEqual({ error: { class: "GenericError", desc } });
  expect(third).toMatchObject({ id: 9 });
  expect(qmp.machine.calls).toEqual([]);
});

test("an object that is no JSON gets an error and the connection stays", async () => {
  const client = await qmp.greeted();
  client.send("{execute:stop}");
  const { error } = await client.next();
  expect(error?.class).toBe("GenericError");
  expect(error?.desc).toStartWith("Bad JSON: ");
  expect(await client.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
});

test("a message over 64 KiB is refused and closes the connection", async () => {
  const client = await qmp.greeted();
  client.send(`{"execute":"${"x".repeat(70_000)}`);
  expect(await client.next()).toEqual({
    error: { class: "GenericError", desc: "The request is longer than 65536 bytes; closing." },
  });
  await client.closed;
  const after = await qmp.greeted();
  expect(await after.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
});

test("more than 100 commands in a second are throttled, with their ids", async () => {
  const client = await qmp.greeted();
  const ids = Array.from({ length: 150 }, (_, index) => index);
  client.send(ids.map((id) => `{"execute":"query-kvm","id":${id}}`).join(""));
  const messages = await client.take(150);
  expect(messages.map((message) => message.id)).toEqual(ids);
  expect(messages.slice(0, 100).every((message) => message.return !== undefined)).toBe(true);
  expect(messages[149]?.error).toEqual({
    class: "OperationThrottled",
    desc: "More than 100 requests in one second; try again later.",
  });
});

test("a second client is refused with a sentence, and served once the first has left", async () => {
  const first = await qmp.greeted();
  const second = await Client.connect({ unix: qmp.path });
  expect(await second.next()).toEqual({
    error: {
      class: "GenericError",
      desc: "Another QMP client is connected; only one is served at a time.",
    },
  });
  await second.closed;
  expect(await first.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
  await first.end();
  const third = await qmp.greeted();
  expect(await third.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
});

test("events without a client are dropped", async () => {
  qmp.machine.emit({ name: "STOP" });
  const client = await qmp.greeted();
  expect(await client.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
});

test("a client that leaves after its command has still given it", async () => {
  const client = await qmp.greeted();
  client.send('{"execute":"stop"}');
  await client.end();
  const next = await qmp.greeted();
  expect(await next.answer("query-status")).toMatchObject({ return: { status: "paused" } });
});

test("the unix socket is the owner's alone and goes with the server", async () => {
  expect(statSync(qmp.path).mode & 0o777).toBe(0o600);
  qmp.server.close();
  expect(existsSync(qmp.path)).toBe(false);
  expect(qmp.machine.listenerCount).toBe(0);
});

test("closing the server ends its client", async () => {
  const client = await qmp.greeted();
  qmp.server.close();
  await client.closed;
});

test("a path in a folder that is not there is refused", async () => {
  const path = join(qmp.folder, "no", "qmp.sock");
  const serving = serveQmp({ transport: "unix", path }, new FakeMachine(), "0.1.0");
  await expect(serving).rejects.toThrow(
    `Cannot listen for QMP on '${path}': its folder does not exist.`,
  );
});

test("QMP is served over tcp", async () => {
  const endpoint = { transport: "tcp", host: "127.0.0.1", port: 0 } as const;
  const server = await serveQmp(endpoint, new FakeMachine(), "0.1.0");
  const client = await Client.connect({ hostname: "127.0.0.1", port: server.port ?? 0 });
  expect(await client.next()).toHaveProperty("QMP");
  expect(await client.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
  server.close();
});

test("100 clients one after another are all served", async () => {
  for (let round = 0; round < 100; round += 1) {
    const client = await qmp.greeted();
    expect(await client.ask("query-kvm")).toMatchObject({ return: { enabled: true } });
    await client.end();
  }
});
