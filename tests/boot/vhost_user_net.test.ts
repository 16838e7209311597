// A Linux guest on a network that another process serves: DPDK's testpmd answers ARP and echo
// requests, ends, and is started again while the guest runs.

import { beforeAll, describe, expect, test } from "bun:test";
import { whyNo } from "../support/back_end.ts";
import { parkCount } from "./exits.ts";
import { Guest, type Outcome } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { Server } from "./host_command.ts";
import { allBootsAsked } from "./seldom.ts";

const PROGRAM = "dpdk-testpmd";
const ECHO_COUNT = 10;
const isRun = allBootsAsked && whyNo(PROGRAM, "root") === undefined;

/**
 * Serves two pairs of queues until the first line, and again from the second to the third, and
 * prints what it counted. It polls without end, so others come first; what waits in a ring when
 * it begins is not thrown away, and the guest's memory is not filled by being locked.
 */
const serve = (folder: string) => `
mkdir -p ${folder} && cd ${folder}
begin() {
  rm -f net.sock
  nice -n 5 ${PROGRAM} -l 0,1 --no-huge -m 64 --no-pci --no-shconf --no-telemetry \\
    --vdev net_vhost0,iface=${folder}/net.sock,queues=2 -- --forward-mode=icmpecho --auto-start \\
    --no-flush-rx --no-mlockall --rxq=2 --txq=2 --total-num-mbufs=4096 --stats-period 1000 \\
    > log 2>&1 &
  until [ -S net.sock ]; do sleep 0.2; done
}
end() {
  kill $!
  wait $!
  cat log
}
begin
echo ready
read -r line
end
read -r line
begin
read -r line
end
`;

/** Each processor sends through the queues of its own. */
const script = `
link=/sys/class/net/eth0
each_pings() {
  for processor in 1 2; do taskset $processor ping -c ${ECHO_COUNT} -i 0.2 10.9.2.1; done
}
ip link set eth0 up
ip addr add 10.9.2.2/24 dev eth0
echo "queues: $(ls -d $link/queues/rx-* | wc -l)"
each_pings
echo served once
until [ "$(cat $link/carrier)" = 0 ]; do sleep 0.1; done
echo link is down
until [ "$(cat $link/carrier)" = 1 ]; do sleep 0.1; done
each_pings
`;

describe.skipIf(!isRun)("a guest on the network of another process", () => {
  let outcome: Outcome;
  let served = "";

  beforeAll(async () => {
    const host = await guestHost();
    const folder = host.pathOf(`served-network-${process.pid}`);
    const server = await Server.start(serve(folder));
    const guest = await Guest.start({
      script,
      disk: "none",
      machine: "microvm,mem-share=on",
      cpuCount: 2,
      more: [
        ...["-chardev", `socket,id=c,path=${folder}/net.sock`],
        ...["-netdev", "vhost-user,id=n,chardev=c,queues=2"],
        ...["-device", "virtio-net-device,netdev=n,mq=on"],
      ],
    });
    await guest.shows(/served once/);
    await server.goOn();
    await guest.shows(/link is down/);
    await server.goOn();
    outcome = await guest.outcome();
    await server.stop();
    served = server.printed;
  }, prepareTimeoutMs);

  test("has two pairs of queues, and gets every echo, also of a new back end", () => {
    expect(outcome.console).toContain("queues: 2");
    const sums = [...outcome.console.matchAll(/\d+ packets transmitted.*loss/g)];
    const all = `${ECHO_COUNT} packets transmitted, ${ECHO_COUNT} packets received, 0% packet loss`;
    expect(sums.map(([sum]) => sum)).toEqual([all, all, all, all]);
  });

  test("has each pair served by both back ends", () => {
    const counts = /Queue= (\d) -+\s+RX-packets: [1-9]\d* +TX-packets: [1-9]/g;
    const pairs = [...served.matchAll(counts)].map(([, pair]) => pair);
    expect(pairs).toEqual(["0", "1", "0", "1"]);
  });

  test("ends in order, and no vCPU waited for the event loop", () => {
    expect(outcome.code).toBe(0);
    expect(parkCount(outcome.log)).toBe(1);
    expect(outcome.log.match(/ERROR.*/g)).toHaveLength(1);
    expect(outcome.log).toMatch(/ERROR: device '.*': its back end .*; looking for it again/);
  });
});
