// Transcripts of commands: replies, errors, events and their order.

import { expect, test } from "bun:test";
import { withServer } from "./harness.ts";

const qmp = withServer();

test("status follows stop and cont, and each sends its event after the reply", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("query-status")).toEqual({
    return: { singlestep: false, running: true, status: "running" },
  });
  expect(await client.ask("stop")).toEqual({ return: {} });
  expect(await client.next()).toMatchObject({ event: "STOP", data: {} });
  expect(await client.ask("query-status")).toMatchObject({ return: { status: "paused" } });
  expect(await client.ask("cont")).toEqual({ return: {} });
  expect(await client.next()).toMatchObject({ event: "RESUME" });
  expect(await client.ask("query-status")).toMatchObject({ return: { running: true } });
});

test("a second stop or cont succeeds without a second event", async () => {
  const client = await qmp.greeted();
  client.send('{"execute":"stop"}{"execute":"stop","id":2}{"execute":"cont"}{"execute":"cont"}');
  client.send('{"execute":"query-version","id":"last"}');
  const messages = await client.take(7);
  expect(messages.map((message) => message.event ?? message.id ?? "reply")).toEqual([
    "reply",
    "STOP",
    2,
    "reply",
    "RESUME",
    "reply",
    "last",
  ]);
});

test("quit answers first, then SHUTDOWN says who asked", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("quit", { id: 1 })).toEqual({ return: {}, id: 1 });
  expect(await client.next()).toMatchObject({
    event: "SHUTDOWN",
    data: { guest: false, reason: "host-qmp-quit" },
  });
  expect(qmp.machine.calls).toEqual(["quit"]);
});

test.each(["reset", "powerdown"])(
  "system_%s answers and then reaches the machine",
  async (name) => {
    const client = await qmp.greeted();
    expect(await client.ask(`system_${name}`)).toEqual({ return: {} });
    await client.ask("query-status");
    expect(qmp.machine.calls).toEqual([name]);
  },
);

test("an event carries the time in seconds and microseconds", async () => {
  const client = await qmp.greeted();
  const before = Math.floor(Date.now() / 1000) - 1;
  qmp.machine.emit({ name: "RESET", data: { guest: true } });
  const { timestamp, data } = await client.next();
  expect(data).toEqual({ guest: true });
  expect(timestamp?.seconds).toBeGreaterThanOrEqual(before);
  expect(timestamp?.seconds).toBeLessThanOrEqual(before + 60);
  expect(timestamp?.microseconds).toBeWithin(0, 1_000_000);
});

test.each([[1], ["text"], [null], [{ a: [1, { b: "}" }] }], [[]], [0], [false]])(
  "the id %j is echoed",
  async (id) => {
    const client = await qmp.greeted();
    expect(await client.ask("qmp_capabilities", { id })).toEqual({ return: {}, id });
    expect(await client.ask("nope", { id })).toMatchObject({ error: {}, id });
  },
);

const kinds = ["x86_64", "aarch64"];

test("introspection answers in the shapes that libvirt reads", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("query-version")).toEqual({
    return: { qemu: { micro: 1, minor: 0, major: 5 }, package: "StratoVirt-0.1.0" },
  });
  expect(await client.ask("query-kvm")).toEqual({ return: { enabled: true, present: true } });
  const { return: target } = await client.ask("query-target");
  expect(kinds).toContain((target as { arch: string }).arch);
  const { return: machines } = await client.ask("query-machines");
  expect(machines).toContainEqual({
    name: "microvm",
    "hotpluggable-cpus": false,
    "numa-mem-supported": false,
    "cpu-max": 255,
    deprecated: false,
  });
  const { return: commands } = await client.ask("query-commands");
  expect(commands).toContainEqual({ name: "query-commands" });
  const { return: events } = await client.ask("query-events");
  expect(events).toContainEqual({ name: "SHUTDOWN" });
});

test("the inventory comes from the machine", async () => {
  const client = await qmp.greeted();
  const props = { "socket-id": 0, die_id: 0, "thread-id": 0 };
  expect((await client.ask("query-cpus")).return).toMatchObject([
    {
      CPU: 0,
      thread_id: 4242,
      halted: false,
      current: true,
      qom_path: "/machine/unattached/device[0]",
      props: { ...props, "core-id": 0 },
    },
  ]);
  const { return: slots } = await client.ask("query-hotpluggable-cpus");
  expect(slots).toMatchObject([
    { "vcpus-count": 1, "qom-path": "/machine/unattached/device[0]" },
    { "vcpus-count": 1, props: { ...props, "core-id": 1 } },
  ]);
  expect((slots as object[])[1]).not.toHaveProperty("qom-path");
  expect((await client.ask("query-iothreads")).return).toMatchObject([
    { id: "io1", "thread-id": 77, "poll-max-ns": 0 },
  ]);
  expect((await client.ask("query-chardev")).return).toEqual([
    { "frontend-open": true, filename: "pty:/dev/pts/9", label: "serial0" },
  ]);
});

const refused = [
  [
    '{"execute":"stopp"}',
    "CommandNotFound",
    "The command 'stopp' is unknown. Did you mean 'stop'?",
  ],
  [
    '{"execute":"make-coffee"}',
    "CommandNotFound",
    "The command 'make-coffee' is unknown. query-commands lists them.",
  ],
  [
    '{"execute":"stop","arguments":{"now":true}}',
    "GenericError",
    "Unknown argument 'now' of 'stop'. It takes none.",
  ],
  [
    '{"execute":"qmp_capabilities","arguments":{"enabel":[]}}',
    "GenericError",
    "Unknown argument 'enabel' of 'qmp_capabilities'. Did you mean 'enable'?",
  ],
  [
    '{"execute":"qmp_capabilities","arguments":{"enable":3}}',
    "GenericError",
    "Bad argument 'enable' of 'qmp_capabilities': expected Array, but got 3.",
  ],
  [
    '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}',
    "GenericError",
    "The capability 'oob' is not offered; none is.",
  ],
  [
    '{"execute":"balloon"}',
    "GenericError",
    "The argument 'value' of 'balloon' is missing, expected number.",
  ],
  [
    '{"execute":"blockdev-add","arguments":{"node-name":"d","file":{"driver":"file"}}}',
    "GenericError",
    "The argument 'file.filename' of 'blockdev-add' is missing.",
  ],
  [
    '{"exec-oob":"stop"}',
    "GenericError",
    "Unknown key 'exec-oob' of a request. Known: execute, arguments, id.",
  ],
  [
    '{"execute":"stop","arguments":null}',
    "GenericError",
    "The 'arguments' of 'stop' must be a JSON object.",
  ],
  [
    `{"execute":"stop","arguments":${'{"a":'.repeat(8000)}1${"}".repeat(8001)}`,
    "GenericError",
    "Unknown argument 'a' of 'stop'. It takes none.",
  ],
  [
    '{"execute":"stop","arguments":[]}',
    "GenericError",
    "The 'arguments' of 'stop' must be a JSON object.",
  ],
  ["{}", "GenericError", "A request needs 'execute' with the name of a command."],
  ['{"execute":7}', "GenericError", "A request needs 'execute' with the name of a command."],
  [
    '{"execute":"stop","argument":{}}',
    "GenericError",
    "Unknown key 'argument' of a request. Did you mean 'arguments'?",
  ],
] as const;

test.each(refused)("%s is refused", async (request, errorClass, desc) => {
  const client = await qmp.greeted();
  client.send(request);
  expect(await client.next()).toEqual({ error: { class: errorClass, desc } });
  expect(await client.ask("query-status")).toMatchObject({ return: { running: true } });
  expect(qmp.machine.calls).toEqual([]);
});

test("JSON's own names are no commands", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("toString")).toMatchObject({ error: { class: "CommandNotFound" } });
  expect(await client.ask("__proto__")).toMatchObject({ error: { class: "CommandNotFound" } });
});
