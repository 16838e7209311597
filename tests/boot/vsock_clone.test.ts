// A Linux guest with a vsock is saved, and goes on elsewhere under another context id: new
// connections find it there.

import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { staticProgram } from "../../scripts/lib/zig.ts";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { Server } from "./host_command.ts";
import { Monitor } from "./monitor.ts";
import { allBootsAsked } from "./seldom.ts";

if (allBootsAsked) beforeAll(guestHost, prepareTimeoutMs);

const TAP = `sv${process.pid}v`;
const CID = 3 + process.pid;
const CLONE_CID = CID + 100_000;

/** Gives the guest the program, hears it once, and speaks to its clone. */
const serve = (program: string) => `
ip tuntap add ${TAP} mode tap
ip addr add 10.9.2.1/24 dev ${TAP}
ip link set ${TAP} up
cd "$(mktemp -d)"
cp ${program} pipe
busybox httpd -f -p 10.9.2.1:8082 & server=$!
echo ready
./pipe listen 5001 receive
echo from the host | ./pipe connect ${CLONE_CID} 5002 send
ip link del ${TAP}
kill $server
`;

const script = `
ip link set eth0 up
ip addr add 10.9.2.2/24 dev eth0
wget -q -O /tmp/pipe http://10.9.2.1:8082/pipe
chmod +x /tmp/pipe
echo from the guest | /tmp/pipe connect 2 5001 send
echo spoken
while read -r line; do eval "$line"; done
`;

function start(cid: number, more: readonly string[] = []): Promise<Guest> {
  return Guest.start({
    disk: "none",
    script,
    more: [
      ...["-netdev", `tap,id=n,ifname=${TAP}`, "-device", "virtio-net-device,netdev=n,id=net"],
      ...["-device", `vhost-vsock-device,id=vsock,guest-cid=${cid}`],
      ...["-qmp", "unix:$NAME.qmp,server,nowait", ...more],
    ],
  });
}

test.skipIf(!allBootsAsked)("a clone is reached under its own context id", async () => {
  const host = await guestHost();
  const template = host.pathOf(`vsock-${process.pid}`);
  const program = await staticProgram("vsock-pipe", [join(import.meta.dir, "vsock_pipe.zig")]);
  const server = await Server.start(serve(program));
  const saved = await start(CID);
  await saved.shows(/spoken/);
  const monitor = await Monitor.connect(`${saved.name}.qmp`);
  await monitor.saveAndQuit(template);
  expect((await saved.outcome()).code).toBe(0);

  const clone = await start(CLONE_CID, ["-incoming", `file:${template}`]);
  await clone.type("/tmp/pipe listen 5002 receive");
  await clone.shows(/from the host/);
  await server.ended();
  expect(server.printed).toContain("from the guest");
  const over = await Monitor.connect(`${clone.name}.qmp`);
  await over.ask("quit");
  expect((await clone.outcome()).code).toBe(0);
});
