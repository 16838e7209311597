// vhost-vsock: the kernel serves the queues of a guest that this test's driver plays.

import { describe, expect, test } from "bun:test";
import { openVhostVsock } from "../../../src/backends/vhost.ts";
import { pauseDevices, unpauseDevices } from "../../../src/core/snapshot.ts";
import { BusMachine } from "../../support/bus_machine.ts";
import { MmioTransport } from "../../support/mmio_transport.ts";
import { until } from "../../support/until.ts";
import { whyNoVhost } from "../../support/vhost.ts";
import {
  EVENTS,
  GUEST_CID,
  HostSocket,
  OPERATION,
  TRANSMIT,
  VsockBench,
  vsockModel,
} from "../../support/vsock.ts";
import { featureCases, identificationCases } from "./conformance.case.ts";

const withVhost = describe.skipIf(whyNoVhost("/dev/vhost-vsock") !== undefined);
const PORT = 5000;
const NO_DATA = new Uint8Array(0);

function text(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}

withVhost("conformance of vhost-vsock over mmio", () => {
  const mmio = {
    name: "mmio",
    attach: (...[machine, device]: ConstructorParameters<typeof MmioTransport>) =>
      new MmioTransport(machine, device),
  };
  describe.each(Object.entries({ identification: identificationCases, features: featureCases }))(
    "%s",
    (_, cases) => cases(vsockModel, mmio),
  );
});

withVhost("a guest with a vsock", () => {
  test("finds its address, as one number or as two halves", () => {
    using bench = new VsockBench();
    const { transport } = bench.driver;
    expect(transport.readConfig(0, 8)).toBe(BigInt(GUEST_CID));
    expect(transport.readConfig(0, 4)).toBe(BigInt(GUEST_CID));
    expect(transport.readConfig(4, 4)).toBe(0n);
  });

  test("connects to the host, and bytes pass both ways", async () => {
    using bench = new VsockBench();
    const { machine } = bench;
    const listener = HostSocket.listen(machine, PORT);
    const ends = { guestPort: 77, hostPort: PORT };
    await bench.send({ ...ends, operation: OPERATION.request, data: NO_DATA });
    expect(await bench.receive(OPERATION.response)).toEqual({
      ...ends,
      operation: OPERATION.response,
      data: NO_DATA,
    });
    const socket = await listener.accept(machine);
    await bench.send({ ...ends, operation: OPERATION.data, data: text("from the guest") });
    expect(await socket.receive(14)).toEqual(text("from the guest"));
    socket.send(text("from the host"));
    expect((await bench.receive(OPERATION.data)).data).toEqual(text("from the host"));
  });

  test("is connected to by the host, and bytes pass over a pause", async () => {
    using bench = new VsockBench();
    const { machine } = bench;
    const socket = HostSocket.connect(machine, 99);
    const { hostPort } = await bench.receive(OPERATION.request);
    const ends = { guestPort: 99, hostPort };
    await bench.send({ ...ends, operation: OPERATION.response, data: NO_DATA });
    for (let round = 0; round < 8; round += 1) {
      pauseDevices(machine.core);
      socket.send(text(`round ${round}`));
      unpauseDevices(machine.core);
      expect((await bench.receive(OPERATION.data)).data).toEqual(text(`round ${round}`));
      await bench.send({ ...ends, operation: OPERATION.data, data: Uint8Array.of(round) });
      expect(await socket.receive(1)).toEqual(Uint8Array.of(round));
    }
    expect(machine.core.takeNews().ringCount).toBe(0);
  });

  test("is reset, and serves new connections after it", async () => {
    using bench = new VsockBench();
    for (let round = 0; round < 8; round += 1) {
      bench.start();
      HostSocket.connect(bench.machine, 99);
      expect((await bench.receive(OPERATION.request)).guestPort).toBe(99);
    }
  });

  test("gets no service with one of the data queues, and breaks nothing", async () => {
    using bench = new VsockBench();
    const { driver } = bench;
    driver.negotiate(0n);
    driver.setUpQueue(TRANSMIT);
    driver.setUpQueue(EVENTS);
    driver.finishStart();
    driver.offer(TRANSMIT, vsockModel.work(driver));
    driver.offer(EVENTS, [{ ...driver.ram.allocate(8), writable: true }]);
    expect(driver.needsReset).toBe(false);
    bench.start();
    HostSocket.connect(bench.machine, 99);
    await bench.receive(OPERATION.request);
    expect(driver.queue(EVENTS).usedIndex()).toBe(0);
  });

  test("that writes a ring without sense is asked for a reset", async () => {
    using bench = new VsockBench();
    const { driver } = bench;
    driver.queue(TRANSMIT).setAvailableIndex(0x7000);
    driver.transport.notify(TRANSMIT);
    await until("NEEDS_RESET", () => driver.needsReset);
    bench.start();
    expect(driver.needsReset).toBe(false);
  });

  test("cannot have the address of another", () => {
    using bench = new VsockBench();
    const other = { id: "w", guestCid: GUEST_CID, vhostfd: undefined };
    expect(() => openVhostVsock(bench.machine.core, other)).toThrow(
      `The guest-cid ${GUEST_CID} of the device 'w' is in use by another machine of this host; ` +
        "give each its own.",
    );
  });
});

test("a descriptor that is no vhost-vsock is refused", () => {
  using machine = new BusMachine();
  const open = () => openVhostVsock(machine.core, { id: "v", guestCid: 3, vhostfd: 9999 });
  expect(open).toThrow(
    "The descriptor 9999 of the device 'v' is not open; " +
      "give the number of an opened /dev/vhost-vsock.",
  );
});
