// Transcripts of the commands that add and take away back ends and devices.

import { expect, test } from "bun:test";
import { openSync } from "node:fs";
import { withServer } from "./harness.ts";

const qmp = withServer();

test("a disk comes and goes, and DEVICE_DELETED follows the reply", async () => {
  const client = await qmp.greeted();
  const file = { driver: "host_device", filename: "/dev/vg/d", aio: "native" };
  const disk = { "node-name": "d", file, cache: { direct: true, "no-flush": false } };
  expect(await client.ask("blockdev-add", { arguments: { ...disk, driver: "raw" } })).toEqual({
    return: {},
  });
  const device = { id: "x", driver: "virtio-blk-mmio", drive: "d", addr: "0x1", "share-rw": true };
  expect(await client.ask("device_add", { arguments: device })).toEqual({ return: {} });
  client.send('{"execute":"device_del","arguments":{"id":"x"},"id":7}');
  expect(await client.next()).toEqual({ return: {}, id: 7 });
  expect(await client.next()).toMatchObject({
    event: "DEVICE_DELETED",
    data: { device: "x", path: "x" },
  });
  expect(await client.ask("blockdev-del", { arguments: { "node-name": "d" } })).toEqual({
    return: {},
  });
  expect(qmp.machine.calls.map((call) => call.split(" ")[0])).toEqual([
    "addDrive",
    "addDevice",
    "removeDevice",
    "removeDrive",
  ]);
});

test("a netdev uses up the descriptors of its list, and takes the last", async () => {
  const { descriptors, calls } = qmp.machine;
  for (const name of ["a", "b", "kept"]) descriptors.add(name, openSync("/dev/null", "r"));
  const last = descriptors.get("b");
  const client = await qmp.greeted();
  const list = { id: "n", fds: "a:b" };
  expect(await client.ask("netdev_add", { arguments: list })).toEqual({ return: {} });
  const tap = { kind: "descriptors", fds: [last] };
  expect(calls).toEqual([`addNetdev ${JSON.stringify({ id: "n", queues: 1, tap })}`]);
  expect(["a", "b", "kept"].map((name) => descriptors.get(name) !== undefined)).toEqual([
    false,
    false,
    true,
  ]);
  const number = { id: "m", fd: "19" };
  expect(await client.ask("netdev_add", { arguments: number })).toEqual({ return: {} });
  expect(calls.at(-1)).toContain('"fds":[19]');
});

const REFUSALS: [string, object, string][] = [
  [
    "device_add",
    { id: "x", driver: "virtio-blk-mmio", serail: "S" },
    "Unknown argument 'serail' of 'device_add'. Did you mean 'serial'?",
  ],
  [
    "blockdev-add",
    { "node-name": "d", file: { driver: "nbd", filename: "f" } },
    "Bad argument 'file.driver' of 'blockdev-add': " +
      'expected ("file" | "host_device"), but got "nbd".',
  ],
  [
    "netdev_add",
    { id: "n", fds: "tapp" },
    "There is no descriptor 'tapp' for netdev_add; getfd makes one.",
  ],
  [
    "netdev_add",
    { id: "n", fd: "1", fds: "2" },
    "The netdev 'n' has both fd and fds; give one of them.",
  ],
];

test.each(REFUSALS)("%s %j is refused", async (name, args, desc) => {
  const client = await qmp.greeted();
  const { error } = await client.ask(name, { arguments: args });
  expect(error).toEqual({ class: "GenericError", desc });
  expect(qmp.machine.calls).toEqual([]);
});

test("a machine without such slots says how to get them", async () => {
  qmp.machine.slots = undefined;
  const client = await qmp.greeted();
  expect((await client.ask("device_del", { arguments: { id: "x" } })).error).toEqual({
    class: "GenericError",
    desc:
      "The machine has no empty slots; start it as a microvm with " +
      "-machine microvm,replaceable=on.",
  });
});
