// Any virtio device, saved and restored in another machine; and states that are damaged.

import { expect, test } from "bun:test";
import { StatePart } from "../../../src/core/abi.gen.ts";
import type { Core, DeviceId } from "../../../src/core/core.ts";
import {
  pauseDevices,
  restoreState,
  saveState,
  unpauseDevices,
} from "../../../src/core/snapshot.ts";
import type { VirtioModel } from "../../support/virtio_model.ts";
import { FEATURE, type TransportKind } from "../../support/virtio_transport.ts";
import { Bench } from "./conformance.case.ts";

function save({ machine, driver }: Bench): Uint8Array {
  pauseDevices(machine.core);
  return saveState(machine.core, StatePart.device, driver.transport.device);
}

/** The same machine anew, with the guest's memory and the device's state; still paused. */
function restore(bench: Bench, saved: Bench, state: Uint8Array): void {
  bench.driver.takeOver(saved.driver);
  restoreState(bench.machine.core, StatePart.device, bench.driver.transport.device, state);
}

/** Whether the device takes the state. */
function takes(core: Core, device: DeviceId, state: Uint8Array): boolean {
  try {
    restoreState(core, StatePart.device, device, state);
    return true;
  } catch {
    return false;
  }
}

export function stateCases(model: VirtioModel, kind: TransportKind): void {
  test.each([
    ["plain", 0n],
    ["with event index and indirect tables", FEATURE.eventIndex | FEATURE.indirect],
  ] as const)("goes on in another machine, %s", async (_name, features) => {
    using bench = new Bench(model, kind);
    bench.start(features);
    for (let round = 0; round < 5; round += 1) await bench.work();
    const state = save(bench);
    using other = new Bench(model, kind);
    restore(other, bench, state);
    expect(saveState(other.machine.core, StatePart.device, other.driver.transport.device)).toEqual(
      state,
    );
    unpauseDevices(other.machine.core);
    for (let round = 0; round < 5; round += 1) await other.work();
    expect(other.driver.needsReset).toBe(false);
  });

  test("takes nothing new while it is paused, and all of it afterwards", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    pauseDevices(bench.machine.core);
    bench.driver.offer(model.workQueue, model.work(bench.driver));
    const state = save(bench);
    expect(bench.driver.queue(model.workQueue).usedIndex()).toBe(0);
    using other = new Bench(model, kind);
    restore(other, bench, state);
    unpauseDevices(other.machine.core);
    await other.driver.takeUsed(model.workQueue, 1);
    expect(bench.driver.needsReset).toBe(false);
  });

  test("goes on where it is, too", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    await bench.work();
    save(bench);
    unpauseDevices(bench.machine.core);
    await bench.work();
  });

  test("sends an interrupt again that the guest has not acknowledged", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    await bench.work();
    const state = save(bench);
    using other = new Bench(model, kind);
    restore(other, bench, state);
    expect(other.driver.transport.interruptStatus()).not.toBe(0);
    expect(other.driver.transport.interruptCount()).toBe(1);
    other.driver.transport.acknowledgeInterrupt(3);
    const acknowledged = save(other);
    using third = new Bench(model, kind);
    restore(third, other, acknowledged);
    expect(third.driver.transport.interruptCount()).toBe(0);
  });

  test("is not saved while it runs", () => {
    using bench = new Bench(model, kind);
    const { core } = bench.machine;
    const { device } = bench.driver.transport;
    expect(() => saveState(core, StatePart.device, device)).toThrow("state_save failed: invalid");
  });

  test("works after a reset, whichever bit of the state was damaged", async () => {
    using bench = new Bench(model, kind);
    bench.start();
    await bench.work();
    const state = save(bench);
    using other = new Bench(model, kind);
    const { core } = other.machine;
    const { device } = other.driver.transport;
    other.driver.takeOver(bench.driver);
    const taken = Array.from({ length: 8 * state.length }, (_, bit) => {
      const damaged = state.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const isTaken = takes(core, device, damaged);
      unpauseDevices(core);
      return isTaken;
    });
    const headerBits = 8 * 24;
    const ignored = [...taken.keys()].filter((bit) => bit < headerBits && taken[bit]);
    expect(ignored.every((bit) => bit >= 8 * 12 && bit < 8 * 16)).toBe(true);
    expect(takes(core, device, state.subarray(0, state.length - 1))).toBe(false);
    other.start();
    await other.work();
    expect(other.driver.needsReset).toBe(false);
  });
}
