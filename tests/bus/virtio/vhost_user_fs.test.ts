// vhost-user-fs with Debian's virtiofsd behind it (virtio 1.2, section 5.11).

import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { VhostUserKind } from "../../../src/core/abi.gen.ts";
import { whyNo } from "../../support/back_end.ts";
import { FuseDriver } from "../../support/fuse_driver.ts";
import type { TemporaryFolder } from "../../support/temporary_folder.ts";
import { VhostUserBench } from "../../support/vhost_user_bench.ts";

const DAEMON = "/usr/lib/qemu/virtiofsd";
const TAG = "a folder's tag of thirty-six bytes..";
const ENOENT = 2;
const withDaemon = test.skipIf(whyNo(DAEMON, "root") !== undefined);

const daemon = (socket: string, folder: TemporaryFolder) => {
  const shared = folder.file("shared");
  mkdirSync(shared);
  writeFileSync(`${shared}/words`, "what the host has written");
  return [DAEMON, `--socket-path=${socket}`, "-o", `source=${shared},sandbox=chroot`, "-f"];
};

async function folderOf() {
  const bench = await VhostUserBench.start(daemon);
  const tag = new TextEncoder().encode(TAG);
  const transport = bench.attach({ kind: VhostUserKind.fs, queueCount: 1, queueSize: 128, tag });
  const driver = new FuseDriver(transport, bench.machine.ram);
  return { bench, transport, driver, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

withDaemon("has two queues, a tag and one request queue", async () => {
  await using folder = await folderOf();
  const { transport } = folder;
  expect(transport.deviceType()).toBe(26);
  expect([0, 1, 2].map((queue) => transport.queueSizeMax(queue))).toEqual([128, 128, 0]);
  const bytes = Array.from({ length: 36 }, (_, index) => Number(transport.readConfig(index, 1)));
  expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(TAG);
  expect(transport.readConfig(36, 4)).toBe(1n);
});

withDaemon("gives the files of its folder, and the same after a reset", async () => {
  await using folder = await folderOf();
  const { driver } = folder;
  for (let round = 0; round < 2; round += 1) {
    driver.start({ queueCount: 2 });
    expect(await driver.init()).toBe(7);
    expect(await driver.readFile("words")).toEqual(Buffer.from("what the host has written"));
    expect(await driver.readFile("nothing")).toBe(-ENOENT);
  }
});

withDaemon("goes on with a new daemon when its guest mounts anew", async () => {
  await using folder = await folderOf();
  const { bench, driver } = folder;
  driver.start({ queueCount: 2 });
  await driver.init();
  await bench.backEnd.kill();
  await bench.backEnd.start();
  driver.start({ queueCount: 2 });
  expect(await driver.init()).toBe(7);
  expect(await driver.readFile("words")).toEqual(Buffer.from("what the host has written"));
});
