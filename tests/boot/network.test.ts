// A Linux guest and its host on a tap: ping, and a file each way, which uses the offloads.

import { beforeAll, describe, expect, test } from "bun:test";
import { Guest, type Outcome } from "./guest.ts";
import { prepareTimeoutMs } from "./host.ts";
import { Server } from "./host_command.ts";
import { allBootsAsked } from "./seldom.ts";

const TAP = `sv${process.pid}`;
const SIZE = 8_000_000;
const SUM = /[0-9a-f]{32}/;

/** Makes a tap with an address, serves a file on it, and takes one; the pipe never ends. */
const serve = `
ip tuntap add ${TAP} mode tap
ip addr add 10.9.0.1/24 dev ${TAP}
ip link set ${TAP} up
cd "$(mktemp -d)"
head -c ${SIZE} /dev/urandom > file
busybox httpd -f -p 10.9.0.1:8080 &
md5sum file
mkfifo open
busybox nc -l -p 5001 <> open | md5sum
ip link del ${TAP}
kill %1
`;

const script = `
ip link set eth0 up
ip addr add 10.9.0.2/24 dev eth0
ping -c 3 -i 0.2 10.9.0.1
wget -O /tmp/file http://10.9.0.1:8080/file
md5sum /tmp/file
nc 10.9.0.1 5001 < /tmp/file
`;

describe.skipIf(!allBootsAsked)("a guest on a tap", () => {
  let outcome: Outcome;
  let served = "";

  beforeAll(async () => {
    const server = await Server.start(serve);
    const card = ["-netdev", `tap,id=n,ifname=${TAP}`, "-device", "virtio-net-device,netdev=n"];
    outcome = await Guest.run({ script, disk: "none", more: card });
    await server.ended();
    served = server.printed;
  }, prepareTimeoutMs);

  test("reaches its host, and no packet is lost", () => {
    expect(outcome.console).toContain("3 packets received, 0% packet loss");
  });

  test("downloads and uploads a file as it is", () => {
    const sums = [...served.matchAll(new RegExp(SUM, "g")), SUM.exec(outcome.console)];
    expect(new Set(sums.map((match) => match?.[0])).size).toBe(1);
    expect(sums).toHaveLength(3);
  });
});
