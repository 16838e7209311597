// virtio-net on taps of the kernel, in a network namespace of each test's own.

import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { openTap, type Tap } from "../../../src/backends/tap.ts";
import { CONSTANTS } from "../../../src/core/abi.gen.ts";
import type { TapNetdev, TapSource } from "../../../src/options/netdevs.ts";
import { BusMachine } from "../../support/bus_machine.ts";
import type { FrameSocket } from "../../support/datagrams.ts";
import { MmioTransport } from "../../support/mmio_transport.ts";
import {
  describeNet,
  frameTo,
  NET_FEATURE,
  NetDriver,
  OWN_MAC,
  SEND,
  withHeader,
} from "../../support/net_driver.ts";
import { TestNetwork, whyNoNetwork } from "../../support/network.ts";
import { until } from "../../support/until.ts";
import { usesThePairsInUse } from "./net_pairs.case.ts";

const NAME = `sv${process.pid}`;
const EXPERIMENT = 0x88b5;
const IPV4 = 0x0800;
const BUFFER_SIZE = 1530;
const withTap = describe.skipIf(whyNoNetwork() !== undefined);

function named(queues: number, name = NAME): TapNetdev {
  return { id: "n", queues, tap: { kind: "interface", name } };
}

/** A device on a new tap, with all its offloads and pairs. */
class TapBench implements Disposable {
  readonly machine = new BusMachine();
  readonly network = new TestNetwork(this.machine);
  readonly tap: Tap;
  readonly driver: NetDriver;
  readonly wire: FrameSocket;

  constructor(options: { queues?: number; etherType?: number; features?: bigint } = {}) {
    const { machine, network } = this;
    const { queues = 1, etherType = EXPERIMENT, features = 0n } = options;
    this.tap = network.inside(() => openTap(machine.core, named(queues), queues));
    machine.onClose(() => this.tap.close());
    const flags = CONSTANTS.netOffload | (queues > 1 ? CONSTANTS.netTapQueues : 0);
    const transport = new MmioTransport(machine, describeNet(this.tap.fds, { flags }));
    this.driver = new NetDriver(transport, machine.ram);
    this.wire = network.listen(NAME, etherType);
    this.driver.start({ features, queueCount: 2 * queues + 1 });
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

withTap("on a tap", () => {
  test("frames pass both ways, with offloads negotiated", async () => {
    using bench = new TapBench({ features: NET_FEATURE.mergeable | NET_FEATURE.guestChecksum });
    const { driver, wire, tap } = bench;
    expect([tap.offload, tap.ufo]).toEqual([true, true]);
    driver.offer(SEND, driver.sending(withHeader(frameTo("52:54:00:99:99:99", 1000))));
    expect(await wire.receive()).toEqual(frameTo("52:54:00:99:99:99", 1000));
    driver.offerBuffers(64, BUFFER_SIZE);
    expect(wire.send(frameTo(OWN_MAC, 1200))).toBe(true);
    expect((await driver.receive()).frame).toEqual(frameTo(OWN_MAC, 1200));
  });

  test("as many pairs serve as the driver asks for", async () => {
    const features = NET_FEATURE.control | NET_FEATURE.multiQueue;
    using bench = new TapBench({ queues: 2, etherType: IPV4, features });
    const { driver } = bench;
    expect(driver.transport.readConfig(8, 2)).toBe(2n);
    expect(await driver.command([4, 0, 3, 0])).toBe(1);
    await usesThePairsInUse(bench);
  });

  test("an interface that is removed takes the link down and breaks nothing", async () => {
    using bench = new TapBench({ features: NET_FEATURE.status });
    const { driver, network, machine } = bench;
    driver.offerBuffers(1, BUFFER_SIZE);
    const generation = driver.transport.configGeneration();
    network.remove(NAME);
    await until("no link", () => driver.transport.readConfig(6, 2) === 0n);
    expect(driver.transport.configGeneration()).toBe(generation + 1);
    await driver.run(SEND, driver.sending(withHeader(frameTo(OWN_MAC))));
    expect(driver.needsReset).toBe(false);
    const { errorCount } = machine.core.deviceInfo(driver.transport.device);
    expect(errorCount).toBeGreaterThan(0);
  });

  test("taps that others opened are taken over by their descriptors", () => {
    using machine = new BusMachine();
    const network = new TestNetwork(machine);
    const opened = network.inside(() => openTap(machine.core, named(2), 2));
    machine.onClose(() => opened.close());
    const tap: TapSource = { kind: "descriptors", fds: opened.fds };
    const taken = openTap(machine.core, { id: "n", queues: 2, tap }, 2);
    expect(taken.fds).toEqual(opened.fds);
    expect(taken.multiQueue).toBe(true);
  });
});

withTap("refuses", () => {
  const refusal = (source: TapNetdev, existing?: TapNetdev): string => {
    using machine = new BusMachine();
    if (existing !== undefined) {
      const tap = openTap(machine.core, existing, existing.queues);
      machine.onClose(() => tap.close());
    }
    try {
      openTap(machine.core, source, source.queues).close();
      return "accepted";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  const who = `The interface '${NAME}' of netdev 'n'`;

  test.each<[string, string, TapNetdev, TapNetdev | undefined]>([
    [
      "what is no tap",
      "The interface 'lo' of netdev 'n' is not a tap; make one: ip tuntap add NAME mode tap.",
      named(1, "lo"),
      undefined,
    ],
    [
      "a tap of one queue for several",
      `${who} has one queue, not 2; make it with 'mode tap multi_queue'.`,
      named(2),
      named(1),
    ],
    [
      "a tap of many queues for one",
      `${who} has many queues, not 1; give queues=2 or more.`,
      named(1),
      named(2),
    ],
    [
      "a tap in use",
      `${who} is in use by another program; end that or use another interface.`,
      named(1),
      named(1),
    ],
    [
      "a descriptor that is not open",
      "The descriptor 9999 of netdev 'n' is not open; give the number of an opened tap queue.",
      { id: "n", queues: 1, tap: { kind: "descriptors", fds: [9999] } },
      undefined,
    ],
  ])("%s", (_what, sentence, source, existing) => {
    expect(refusal(source, existing)).toBe(sentence);
  });

  test("a descriptor of something else", () => {
    const fd = openSync("/dev/null", "r+");
    const source: TapNetdev = { id: "n", queues: 1, tap: { kind: "descriptors", fds: [fd] } };
    expect(refusal(source)).toBe(
      `The descriptor ${fd} of netdev 'n' is not a tap; give the number of an opened tap queue.`,
    );
    closeSync(fd);
  });
});
