// A Linux guest whose network and vsock the host's kernel serves: files each way over both, while
// the machine is stopped and goes on.

import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import "../support/core_library.ts";
import { labShare } from "../../scripts/lab/index.ts";
import { runCommand } from "../../scripts/lib/command.ts";
import { checkout } from "../../scripts/lib/paths.ts";
import { staticProgram } from "../../scripts/lib/zig.ts";
import { parkCount } from "./exits.ts";
import { Guest, type Outcome } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { Server } from "./host_command.ts";
import { Monitor } from "./monitor.ts";
import { allBootsAsked } from "./seldom.ts";

const TAP = `svh${process.pid}`;
const CID = 3 + process.pid;
const SIZE = 8_000_000;
const busTestTimeoutMs = 60_000;
const packed = ["src", "tests", "scripts", "zig-out", "package.json", "tsconfig.json"];
const pack = join(labShare, `vhost-${process.pid}.tar`);
const SUM = /[0-9a-f]{32}/g;

/**
 * Makes a tap of two queues, and moves a file in each direction; `program` is for vsocks. All
 * listen before the first line, which says so; the pipe never ends.
 */
const serve = (program: string) => `
ip tuntap add ${TAP} mode tap multi_queue
ip addr add 10.9.1.1/24 dev ${TAP}
ip link set ${TAP} up
cd "$(mktemp -d)"
head -c ${SIZE} /dev/urandom > file
cp ${program} pipe
mkfifo open
busybox httpd -f -p 10.9.1.1:8081 & server=$!
(busybox nc -l -p 5003 <> open | md5sum) & upload=$!
(./pipe listen 5001 receive | md5sum) & from_guest=$!
md5sum file
./pipe connect ${CID} 5002 send < file
wait $upload $from_guest
ip link del ${TAP}
kill $server
`;

const script = `
ip link set eth0 up
ip addr add 10.9.1.2/24 dev eth0
echo "queues: $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)"
ping -c 3 -i 0.2 10.9.1.1
echo transfer begins
wget -q -O /tmp/file http://10.9.1.1:8081/file
md5sum /tmp/file
wget -q -O /tmp/pipe http://10.9.1.1:8081/pipe
chmod +x /tmp/pipe
/tmp/pipe connect 2 5001 send < /tmp/file
/tmp/pipe listen 5002 receive | md5sum
nc 10.9.1.1 5003 < /tmp/file
`;

/** The tests of vhost that need no guest, where there is one: from a copy in memory. */
const busTests = `
folder="$(mktemp -d)"
tar -C "$folder" -xf ${pack}
ln -s ${checkout}/node_modules "$folder/node_modules"
cd "$folder"
bun test --timeout ${busTestTimeoutMs} ./tests/bus/virtio/{net_vhost,vsock}.test.ts
`;

describe.skipIf(!allBootsAsked)("a guest of the kernel's vhost", () => {
  let outcome: Outcome;
  let served = "";

  beforeAll(async () => {
    const source = join(import.meta.dir, "vsock_pipe.zig");
    const server = await Server.start(serve(await staticProgram("vsock-pipe", [source])));
    const guest = await Guest.start({
      script,
      disk: "none",
      cpuCount: 2,
      more: [
        ...["-netdev", `tap,id=n,ifname=${TAP},vhost=on,queues=2`],
        ...["-device", "virtio-net-device,netdev=n,mq=on"],
        ...["-device", `vhost-vsock-device,guest-cid=${CID}`],
        ...["-qmp", "unix:$NAME.qmp,server,nowait"],
      ],
    });
    const monitor = await Monitor.connect(`${guest.name}.qmp`);
    await guest.shows(/transfer begins/);
    for (let count = 0; count < 3; count += 1) {
      await monitor.ask("stop");
      await monitor.ask("cont");
    }
    outcome = await guest.outcome();
    await server.ended();
    served = server.printed;
  }, prepareTimeoutMs);

  test("has two pairs of queues, reaches its host, and no packet is lost", () => {
    expect(outcome.console).toContain("queues: 2");
    expect(outcome.console).toContain("3 packets received, 0% packet loss");
  });

  test("gets and gives a file over both as it is", () => {
    const sums = [...served.matchAll(SUM), ...outcome.console.matchAll(SUM)];
    expect(new Set(sums.map(([sum]) => sum)).size).toBe(1);
    expect(sums).toHaveLength(5);
  });

  test("ends in order, and no vCPU waited for the event loop", () => {
    expect(outcome.code).toBe(0);
    expect(outcome.log).not.toContain("ERROR");
    expect(parkCount(outcome.log)).toBe(1);
  });
});

test.skipIf(!allBootsAsked)(
  "what the bus tests of vhost say on a host that has it",
  async () => {
    const host = await guestHost();
    mkdirSync(labShare, { recursive: true });
    await runCommand(["tar", "-C", checkout, "-cf", pack, ...packed]);
    let report = "";
    const text = new TextDecoder();
    const take = (bytes: Uint8Array) => {
      report += text.decode(bytes);
    };
    const { code } = await host.start(["bash", "-c", busTests], {
      stdin: new Blob([]).stream(),
      onStdout: take,
      onStderr: take,
      env: {},
      timeoutMs: prepareTimeoutMs,
    });
    rmSync(pack);
    expect(report).toContain("\n 0 fail\n");
    expect(report).not.toContain("skipped: this host has no");
    expect(code).toBe(0);
  },
  prepareTimeoutMs,
);
