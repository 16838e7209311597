// A Linux guest whose disks and cards come and go by QMP: it sees sizes, reads, pings and loses.

import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { Monitor } from "./monitor.ts";
import { allBootsAsked } from "./seldom.ts";

const TAP = `sv${process.pid}`;
const SECTOR_COUNT = 8192;
const timeoutMs = 110_000;

const script = `
until_is() { while read -r now < $1; [ "$now" != $2 ]; do :; done; }
echo sizes: $(cat /sys/block/vd?/size)
until_is /sys/block/vdb/size ${SECTOR_COUNT}
md5sum /dev/vdb
until_is /sys/block/vdb/size 0
dd if=/dev/vdb of=/dev/null bs=4096 count=1 2>&1 | head -n 1
ip link set eth1 up
ip addr add 10.9.2.2/24 dev eth1
until_is /sys/class/net/eth1/carrier 1
ping -c 3 -i 0.2 10.9.2.1
until_is /sys/class/net/eth1/carrier 0
echo no cable
`;

/** Runs a program on the guest's host; resolves to what it prints. */
async function printed(argv: string[]): Promise<string> {
  const host = await guestHost();
  let text = "";
  const onStdout = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const stdin = new Response("").body ?? new ReadableStream<Uint8Array>();
  await host.start(argv, { stdin, onStdout, onStderr: () => {}, env: {}, timeoutMs });
  return text;
}

describe.skipIf(!allBootsAsked)("a guest", () => {
  beforeAll(guestHost, prepareTimeoutMs);

  test("sees disks and cards that come and go", async () => {
    const host = await guestHost();
    const disk = host.pathOf(`hot-${process.pid}`);
    const make = `head -c ${SECTOR_COUNT * 512} /dev/urandom > "$1"; md5sum < "$1"`;
    const sum = (await printed(["sh", "-c", make, "sh", disk])).slice(0, 32);
    const more = ["-qmp", "unix:$NAME.qmp,server,nowait"];
    const guest = await Guest.start({ disk: "none", script, more });
    await guest.shows(/sizes: 0 0 0 0/);
    const socket = host.pathOf(`${guest.name}.qmp`);
    const sender = join(checkout, "tests/boot/send_tap.ts");
    expect(await printed(["bun", sender, socket, TAP, "10.9.2.1/24"])).toBe('{"return":{}}\n');

    const monitor = await Monitor.connect(`${guest.name}.qmp`);
    const file = { driver: "file", filename: disk };
    await monitor.ask("blockdev-add", { "node-name": "d", file, cache: { direct: false } });
    await monitor.ask("device_add", { id: "d", driver: "virtio-blk-mmio", drive: "d", addr: "1" });
    const [, seen] = await guest.shows(/([0-9a-f]{32}) {2}\/dev\/vdb/);
    expect(seen).toBe(sum);
    await monitor.ask("device_del", { id: "d" });
    await guest.shows(/dd: .*|0\+0 records in/);

    await monitor.ask("netdev_add", { id: "n", fds: TAP });
    const card = { id: "n", driver: "virtio-net-mmio", chardev: "n", addr: "0x1" };
    await monitor.ask("device_add", card);
    await guest.shows(/3 packets received, 0% packet loss/);
    await monitor.ask("device_del", { id: "n" });
    await guest.shows(/no cable/);
    expect((await guest.outcome()).code).toBe(0);
    expect(monitor.events).toEqual(["DEVICE_DELETED", "DEVICE_DELETED", "SHUTDOWN"]);
  });
});
