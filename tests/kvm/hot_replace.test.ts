// Disks and taps that come and go by QMP in a machine whose filters are on.

import { expect, test } from "bun:test";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { openTap } from "../../src/backends/tap.ts";
import { BusMachine } from "../support/bus_machine.ts";
import { hasKvm } from "../support/kvm.ts";
import { TestNetwork, whyNoNetwork } from "../support/network.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, x86 } from "../support/x86.ts";

const spin = payload(print("!"), forever(x86.pause));
const DISK_SIZE = 64 * 1024;
const done = { return: {} };

test.skipIf(!hasKvm)("each kind of disk can be added and taken away", async () => {
  await using machine = new PayloadProgram(spin);
  const client = await machine.connect();
  const filename = machine.folder.file("disk");
  writeFileSync(filename, new Uint8Array(DISK_SIZE));
  const kinds = [
    { aio: { aio: "native" }, direct: true },
    { aio: { aio: "io_uring" }, direct: true },
    { aio: { aio: "threads" }, direct: false },
    { aio: {}, direct: false },
  ];
  for (const [round, { aio, direct }] of kinds.entries()) {
    const file = { driver: "file", filename, ...aio };
    const throttle = { "throttling.iops-total": 100 * round };
    const disk = { "node-name": "d", file, cache: { direct }, discard: "unmap", ...throttle };
    const device = { id: "d", driver: "virtio-blk-mmio", drive: "d", serial: "S", addr: "0x2" };
    expect(await client.ask("blockdev-add", { arguments: disk })).toEqual(done);
    expect(await client.ask("device_add", { arguments: device })).toEqual(done);
    expect(await client.ask("device_del", { arguments: { id: "d" } })).toEqual(done);
    expect(await client.next()).toMatchObject({
      event: "DEVICE_DELETED",
      data: { device: "d", path: "d" },
    });
    const removal = { arguments: { "node-name": "d" } };
    expect(await client.ask("blockdev-del", removal)).toEqual(done);
  }
  await client.ask("quit");
  expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
});

test.skipIf(!hasKvm)(
  "what cannot be opened is refused with a sentence, and nothing else happens",
  async () => {
    await using machine = new PayloadProgram(spin);
    const client = await machine.connect();
    await until("the guest's start", () => machine.printed === "!");
    const missing = { driver: "file", filename: machine.folder.file("missing") };
    const disk = { "node-name": "d", file: missing, cache: { direct: false } };
    expect((await client.ask("blockdev-add", { arguments: disk })).error).toEqual({
      class: "GenericError",
      desc: `The disk '${missing.filename}' (drive 'd') does not exist; check the path.`,
    });
    const net = { id: "n", ifname: "lo" };
    expect((await client.ask("netdev_add", { arguments: net })).error).toEqual({
      class: "GenericError",
      desc: "The interface 'lo' of netdev 'n' is not a tap; make one: ip tuntap add NAME mode tap.",
    });
    expect((await client.ask("device_del", { arguments: { id: "x" } })).error).toEqual({
      class: "DeviceNotFound",
      desc: "There is no device 'x'. device_add makes one.",
    });
    await client.ask("quit");
    expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
  },
);

const hasNetwork = hasKvm && whyNoNetwork() === undefined;

test.skipIf(!hasNetwork)("taps can be added by descriptor and by name", async () => {
  using host = new BusMachine();
  const network = new TestNetwork(host);
  const name = `sk${process.pid}`;
  await using machine = new PayloadProgram(spin);
  const client = await machine.connect();
  const tap = { id: "t", queues: 1, tap: { kind: "interface", name } } as const;
  const opened = network.inside(() => openTap(host.core, tap, 1));
  const null_ = openSync("/dev/null", "r");
  const named = JSON.stringify({ execute: "getfd", arguments: { fdname: "tap" } });
  const unused = JSON.stringify({ execute: "getfd", arguments: { fdname: "unused" } });
  client.sendWith([null_], unused);
  client.sendWith([opened.fds[0] ?? -1], named);
  closeSync(null_);
  opened.close();
  expect(await client.take(2)).toEqual([done, done]);
  const byDescriptor = { arguments: { id: "n", fds: "unused:tap" } };
  expect(await client.ask("netdev_add", byDescriptor)).toEqual(done);
  const device = { id: "n", driver: "virtio-net-mmio", chardev: "n", addr: "0x1" };
  const mac = "52:54:00:11:22:33";
  expect(await client.ask("device_add", { arguments: { ...device, mac } })).toEqual(done);
  expect(await client.ask("closefd", { arguments: { fdname: "tap" } })).toMatchObject({
    error: { class: "GenericError" },
  });
  expect(await client.ask("device_del", { arguments: { id: "n" } })).toEqual(done);
  expect(await client.next()).toMatchObject({ event: "DEVICE_DELETED" });
  const byName = { arguments: { id: "n", ifname: `${name}b` } };
  expect(await client.ask("netdev_add", byName)).toEqual(done);
  expect(await client.ask("device_add", { arguments: device })).toEqual(done);
  await client.ask("quit");
  expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
});
