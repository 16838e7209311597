// vhost-user-net with DPDK's testpmd behind it, which sends each frame back with its addresses
// swapped (virtio 1.2, section 5.1; behaviour 4.6).

import { expect, test } from "bun:test";
import { VhostUserKind } from "../../../src/core/abi.gen.ts";
import { macBytes } from "../../../src/devices/mac_bytes.ts";
import { whyNo } from "../../support/back_end.ts";
import {
  frameTo,
  NET_FEATURE,
  NetDriver,
  OWN_MAC,
  RECEIVE,
  SEND,
  withHeader,
} from "../../support/net_driver.ts";
import { until, untilFound } from "../../support/until.ts";
import { VhostUserBench } from "../../support/vhost_user_bench.ts";

const PROGRAM = "dpdk-testpmd";
const OTHER_MAC = "52:54:00:99:99:99";
const BUFFER_SIZE = 2048;
const TIMEOUT_MS = 120_000;
/** A host with less idle time than processors gives the other side few turns. */
const PATIENCE_MS = 30_000;
const whyNoProgram = whyNo(PROGRAM, "root");

function withProgram(name: string, body: () => Promise<void>): void {
  test.skipIf(whyNoProgram !== undefined)(name, body, TIMEOUT_MS);
}

const program = (queues: number) => (socket: string) => [
  // It polls without end: others come first.
  ...["nice", "-n", "5", PROGRAM, "-l", "0,1", "--no-huge", "-m", "256", "--no-pci"],
  ...["--no-shconf", "--no-telemetry", "--vdev", `net_vhost0,iface=${socket},queues=${queues}`],
  ...["--", "--port-topology=loop", "--forward-mode=macswap", "--auto-start"],
  ...[`--rxq=${queues}`, `--txq=${queues}`, "--total-num-mbufs=4096", "--stats-period", "1000"],
];

async function networkOf(queueCount: number) {
  const bench = await VhostUserBench.start(program(queueCount));
  const mac = macBytes(OWN_MAC);
  const transport = bench.attach({ kind: VhostUserKind.net, queueCount, queueSize: 256, mac });
  const driver = new NetDriver(transport, bench.machine.ram);
  return { bench, transport, driver, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

/** Sends frames until one comes back: what is sent before the other side polls may be dropped. */
async function exchange(driver: NetDriver, queue: number): Promise<Uint8Array> {
  driver.offerBuffers(16, BUFFER_SIZE, queue + RECEIVE);
  let isOffered = false;
  const sent = driver.sending(withHeader(frameTo(OTHER_MAC, 200)));
  const tryOnce = async () => {
    if (driver.queue(queue + SEND).takeUsed().length > 0 || !isOffered) {
      driver.offer(queue + SEND, sent);
    }
    isOffered = true;
    return driver.queue(queue + RECEIVE).usedIndex() > 0 || undefined;
  };
  await untilFound("a frame to come back", tryOnce, PATIENCE_MS);
  return (await driver.receive(queue + RECEIVE)).frame;
}

const swapped = (): Uint8Array => {
  const frame = frameTo(OTHER_MAC, 200);
  const [target, source] = [frame.slice(0, 6), frame.slice(6, 12)];
  frame.set([...source, ...target]);
  return frame;
};

withProgram("frames go out and come back, and again with a new back end", async () => {
  await using network = await networkOf(1);
  const { bench, driver, transport } = network;
  expect(transport.queueSizeMax(2)).toBe(0);
  expect([0, 1, 2, 3, 4, 5].map((at) => transport.readConfig(at, 1))).toEqual(
    [...macBytes(OWN_MAC)].map(BigInt),
  );
  driver.start({ features: NET_FEATURE.mergeable, queueCount: 2 });
  expect(await exchange(driver, 0)).toEqual(swapped());
  expect(transport.readConfig(6, 2)).toBe(1n);
  await bench.backEnd.kill();
  await until("the link to be down", () => transport.readConfig(6, 2) === 0n);
  await bench.backEnd.start();
  await until("the link to be up", () => transport.readConfig(6, 2) === 1n);
  driver.start({ features: NET_FEATURE.mergeable, queueCount: 2 });
  expect(await exchange(driver, 0)).toEqual(swapped());
});

withProgram("as many pairs serve as the driver asks for", async () => {
  await using network = await networkOf(2);
  const { driver, transport } = network;
  expect(transport.readConfig(8, 2)).toBe(2n);
  const features = NET_FEATURE.mergeable | NET_FEATURE.control | NET_FEATURE.multiQueue;
  driver.start({ features, queueCount: 5 });
  expect(await driver.command([4, 0, 3, 0])).toBe(1);
  expect(await driver.command([0, 0, 1])).toBe(1);
  expect(await driver.command([4, 0, 2, 0])).toBe(0);
  expect(await exchange(driver, 2)).toEqual(swapped());
  expect(await driver.command([4, 0, 1, 0])).toBe(0);
  expect(await exchange(driver, 0)).toEqual(swapped());
});
