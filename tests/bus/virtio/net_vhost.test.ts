// virtio-net with vhost=on: the kernel moves the frames between the rings and a tap.

import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { openVhostNet } from "../../../src/backends/vhost.ts";
import { StatePart } from "../../../src/core/abi.gen.ts";
import {
  pauseDevices,
  restoreState,
  saveState,
  unpauseDevices,
} from "../../../src/core/snapshot.ts";
import { BusMachine } from "../../support/bus_machine.ts";
import { MmioTransport } from "../../support/mmio_transport.ts";
import {
  frameTo,
  HEADER_SIZE,
  NET_FEATURE,
  OWN_MAC,
  RECEIVE,
  SEND,
  withHeader,
} from "../../support/net_driver.ts";
import { whyNoNetwork } from "../../support/network.ts";
import { Random } from "../../support/random.ts";
import { scribbleRings } from "../../support/random_rings.ts";
import { until } from "../../support/until.ts";
import { whyNoVhost } from "../../support/vhost.ts";
import { VhostNetBench, vhostNetModel } from "../../support/vhost_net.ts";
import { FEATURE } from "../../support/virtio_transport.ts";
import {
  featureCases,
  identificationCases,
  indirectCases,
  interruptCases,
  queueCases,
  statusCases,
} from "./conformance.case.ts";
import { usesThePairsInUse } from "./net_pairs.case.ts";
import { resetCases } from "./reset.case.ts";

const OTHER_MAC = "52:54:00:99:99:99";
const IPV4 = 0x0800;
const BUFFER_SIZE = 1530;
const withVhost = describe.skipIf((whyNoNetwork() ?? whyNoVhost("/dev/vhost-net")) !== undefined);

withVhost("conformance of vhost-net over mmio", () => {
  const mmio = {
    name: "mmio",
    attach: (...[machine, device]: ConstructorParameters<typeof MmioTransport>) =>
      new MmioTransport(machine, device),
  };
  describe.each(
    Object.entries({
      identification: identificationCases,
      features: featureCases,
      status: statusCases,
      queues: queueCases,
      interrupts: interruptCases,
      "indirect tables": indirectCases,
      reset: resetCases,
    }),
  )("%s", (_, cases) => cases(vhostNetModel, mmio));
});

withVhost("frames that the kernel moves", () => {
  test("pass both ways, long ones in many buffers", async () => {
    const features = NET_FEATURE.mergeable | NET_FEATURE.guestChecksum | FEATURE.eventIndex;
    using bench = new VhostNetBench({ features });
    const { driver, wire } = bench;
    const sent = frameTo(OTHER_MAC, 1200);
    driver.offer(SEND, driver.sending(withHeader(sent)));
    expect(await wire.receive()).toEqual(sent);
    driver.offerBuffers(32, 600);
    expect(wire.send(frameTo(OWN_MAC, 1500))).toBe(true);
    const { frame, bufferCount } = await driver.receive();
    expect(frame).toEqual(frameTo(OWN_MAC, 1500));
    expect(bufferCount).toBe(Math.ceil((1500 + HEADER_SIZE) / 600));
  });

  test("wake the event loop never", async () => {
    using bench = new VhostNetBench({ features: NET_FEATURE.mergeable });
    const { driver, wire } = bench;
    for (let round = 0; round < 50; round += 1) {
      driver.offerBuffers(1, BUFFER_SIZE);
      wire.send(frameTo(OWN_MAC, 200, round));
      expect((await driver.receive()).frame[50]).toBe((50 + round) % 256);
      driver.offer(SEND, driver.sending(withHeader(frameTo(OTHER_MAC, 200, round))));
      expect((await wire.receive())[50]).toBe((50 + round) % 256);
      await driver.takeUsed(SEND, 1);
    }
    expect(bench.machine.core.takeNews().ringCount).toBe(0);
  });

  test("use as many pairs as the driver asks for", async () => {
    const features = NET_FEATURE.control | NET_FEATURE.multiQueue;
    using bench = new VhostNetBench({ pairs: 2, etherType: IPV4, features });
    await usesThePairsInUse(bench);
  });

  test("go on after a pause where they stopped", async () => {
    using bench = new VhostNetBench({ features: NET_FEATURE.mergeable | FEATURE.eventIndex });
    const { driver, wire, machine } = bench;
    for (let round = 0; round < 8; round += 1) {
      driver.offerBuffers(2, BUFFER_SIZE);
      wire.send(frameTo(OWN_MAC, 100, round));
      expect((await driver.receive()).frame[20]).toBe(20 + round);
      pauseDevices(machine.core);
      const before = driver.queue(RECEIVE).usedIndex();
      wire.send(frameTo(OWN_MAC, 100, round + 100));
      driver.offer(SEND, driver.sending(withHeader(frameTo(OTHER_MAC, 100, round))));
      expect(driver.queue(RECEIVE).usedIndex()).toBe(before);
      unpauseDevices(machine.core);
      expect((await driver.receive()).frame[20]).toBe(20 + round + 100);
      expect((await wire.receive())[20]).toBe(20 + round);
    }
    expect(driver.needsReset).toBe(false);
  });

  test("go on in another machine where they stopped", async () => {
    const features = NET_FEATURE.mergeable | FEATURE.eventIndex;
    using saved = new VhostNetBench({ features });
    saved.driver.offerBuffers(3, BUFFER_SIZE);
    saved.wire.send(frameTo(OWN_MAC, 100, 1));
    await saved.driver.receive();
    using bench = new VhostNetBench({ features });
    bench.driver.takeOver(saved.driver);
    const [from, to] = [saved.machine.core, bench.machine.core];
    pauseDevices(from);
    const state = saveState(from, StatePart.device, saved.driver.transport.device);
    restoreState(to, StatePart.device, bench.driver.transport.device, state);
    unpauseDevices(to);
    for (const round of [2, 3]) {
      bench.wire.send(frameTo(OWN_MAC, 100, round));
      await bench.driver.takeUsed(RECEIVE, 1);
      await bench.driver.run(SEND, bench.driver.sending(withHeader(frameTo(OTHER_MAC))));
      expect(await bench.wire.receive()).toEqual(frameTo(OTHER_MAC));
    }
    expect(bench.driver.queue(RECEIVE).usedIndex()).toBe(3);
  });

  test("touch no buffer after a reset in the middle of traffic", async () => {
    using bench = new VhostNetBench({ features: NET_FEATURE.mergeable });
    const { driver, wire, machine } = bench;
    for (let round = 0; round < 10; round += 1) {
      const buffers = Array.from({ length: 16 }, () => machine.ram.allocate(BUFFER_SIZE));
      for (const buffer of buffers) driver.queue(RECEIVE).add([{ ...buffer, writable: true }]);
      driver.queue(RECEIVE).publish();
      driver.transport.notify(RECEIVE);
      for (let count = 0; count < 32; count += 1) wire.send(frameTo(OWN_MAC, 1000, round));
      driver.transport.writeStatus(0);
      for (const buffer of buffers) machine.ram.write(buffer.address, new Uint8Array(BUFFER_SIZE));
      wire.send(frameTo(OWN_MAC, 1000, round));
      bench.start();
      driver.offerBuffers(1, BUFFER_SIZE);
      await driver.receive();
      const written = buffers.filter((buffer) =>
        machine.ram.read(buffer).some((byte) => byte !== 0),
      );
      expect(written).toEqual([]);
    }
  });

  test("a ring without sense asks for a reset, after which they pass again", async () => {
    using bench = new VhostNetBench();
    const { driver, wire } = bench;
    const table = { address: 0x7000_0000, length: 60, flags: 0, next: 0 };
    driver.queue(SEND).writeDescriptor(0, table);
    driver.queue(SEND).writeAvailable(0, 0);
    driver.queue(SEND).setAvailableIndex(1);
    driver.transport.notify(SEND);
    await until("NEEDS_RESET", () => driver.needsReset);
    bench.start();
    driver.offer(SEND, driver.sending(withHeader(frameTo(OTHER_MAC))));
    expect(await wire.receive()).toEqual(frameTo(OTHER_MAC));
    expect(driver.needsReset).toBe(false);
  });

  test.each([1, 2, 3])("survive random rings on all queues, seed %i", async (seed) => {
    using bench = new VhostNetBench({ features: NET_FEATURE.mergeable | FEATURE.indirect });
    const { driver, wire, machine } = bench;
    const random = new Random(seed);
    const scratch = machine.ram.allocate(0x1000);
    for (let round = 0; round < 15; round += 1) {
      scribbleRings({ driver, machine, scratch }, random);
      wire.send(frameTo(OWN_MAC, 60 + random.below(1400)));
      bench.start();
    }
    driver.offer(SEND, driver.sending(withHeader(frameTo(OTHER_MAC, 60, 99))));
    await driver.takeUsed(SEND, 1);
    expect(driver.needsReset).toBe(false);
  });
});

describe("a descriptor is refused", () => {
  const open = (fd: number) => () => {
    using machine = new BusMachine();
    openVhostNet(machine.core, { id: "n", fds: [fd], pairCount: 1 });
  };

  test("that is not open", () => {
    expect(open(9999)).toThrow(
      "The descriptor 9999 of the netdev 'n' is not open; " +
        "give the number of an opened /dev/vhost-net.",
    );
  });

  test("of something else", () => {
    const fd = openSync("/dev/null", "r+");
    expect(open(fd)).toThrow(
      `The descriptor ${fd} of the netdev 'n' is not /dev/vhost-net; ` +
        "give the number of one that is opened.",
    );
    closeSync(fd);
  });

  test.skipIf(whyNoVhost("/dev/vhost-net") !== undefined)("that has served another", () => {
    const fd = openSync("/dev/vhost-net", "r+");
    expect(open(fd)).not.toThrow();
    expect(open(fd)).toThrow(
      `The /dev/vhost-net of the netdev 'n' (descriptor ${fd}) has served another machine; ` +
        "open it anew, or use vhost=off.",
    );
  });
});
