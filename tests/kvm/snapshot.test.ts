// A payload that is stopped in the middle, saved, and goes on in a second machine.

import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { StatePart } from "../../src/core/abi.gen.ts";
import { restoreState, saveState, stateFault } from "../../src/core/snapshot.ts";
import { hasKvm } from "../support/kvm.ts";
import { KvmMachine, type KvmMachineOptions, MEMORY_SIZE } from "../support/kvm_machine.ts";
import { machineOf, restoreStates, takeSnapshot } from "../support/kvm_snapshot.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";
import { handleInterrupt } from "../support/x86_interrupts.ts";

const COUNTER = 0x20_0000;
const RESET = writePort(0xcf9, 0x06);
const COUNT = [...x86.movEdi(COUNTER), ...x86.increment];

/** What is wrong with a state, in words. */
function faultOf(act: () => void): string {
  try {
    act();
    return "none";
  } catch (error) {
    return stateFault(error) ?? String(error);
  }
}

/** Waits until the guest has counted on from there. */
async function counted(machine: KvmMachine, from: bigint): Promise<void> {
  await until("the guest to count", () => machine.read64(COUNTER) > from + 2n);
}

/** Saves a machine, and waits until another one has counted on from there. */
async function countsOnElsewhere(machine: KvmMachine, options?: KvmMachineOptions): Promise<void> {
  const snapshot = await takeSnapshot(machine);
  using restored = machineOf(snapshot, options);
  restoreStates(restored, snapshot);
  restored.core.resumeVcpus();
  await counted(restored, machine.read64(COUNTER));
}

/** Instructions that write a register of the processor's interrupt controller. */
const local = (register: number, value: number) => [
  ...x86.movEdi(0xfee0_0000 + register),
  ...x86.movEax(value),
  ...x86.storeEax,
];

describe.skipIf(!hasKvm)("a restored machine", () => {
  test("counts on from where it was saved, with the same registers", async () => {
    using machine = new KvmMachine();
    machine.run(payload(x86.movEdi(COUNTER), x86.movEax(0x1234), forever(x86.increment)));
    await counted(machine, 1000n);
    const snapshot = await takeSnapshot(machine);
    const saved = machine.read64(COUNTER);
    using restored = machineOf(snapshot);
    restoreStates(restored, snapshot);
    restored.core.pauseVcpus();
    expect(restored.core.vcpuRegisters(0)).toEqual(machine.core.vcpuRegisters(0));
    expect(restored.read64(COUNTER)).toBe(saved);
    restored.core.resumeVcpus();
    await counted(restored, saved);
    expect(machine.read64(COUNTER)).toBe(saved);
    machine.core.resumeVcpus();
    await counted(machine, saved);
  });

  test("has the interrupts of its timer chip", async () => {
    const options = { hasPit: true };
    using machine = new KvmMachine(options);
    machine.run(
      payload(
        handleInterrupt(machine, 0, COUNT),
        [...writePort(0x43, 0x34), ...writePort(0x40, 0x00), ...writePort(0x40, 0x10)],
        x86.enableInterrupts,
        forever(x86.halt),
      ),
    );
    await counted(machine, 2n);
    await countsOnElsewhere(machine, options);
  });

  test("has the interrupts of its processor's own timer", async () => {
    const vector = 16;
    using machine = new KvmMachine();
    machine.run(
      payload(
        handleInterrupt(machine, vector, [...COUNT, ...local(0xb0, 0)]),
        [...local(0xf0, 0x1ff), ...local(0x3e0, 0xb), ...local(0x320, 0x2_0020 + vector)],
        local(0x380, 1_000_000),
        x86.enableInterrupts,
        forever(x86.halt),
      ),
    );
    await counted(machine, 2n);
    await countsOnElsewhere(machine);
  });

  test("has the interrupt of a deadline that came while nobody ran it", async () => {
    const vector = 16;
    const deadline = [
      ...x86.readTscAndAdd(2_000_000),
      ...x86.movEcx(0x6e0),
      ...x86.writeMsrFromRax,
    ];
    using machine = new KvmMachine();
    machine.run(
      payload(
        handleInterrupt(machine, vector, [...COUNT, ...deadline, ...local(0xb0, 0)]),
        [...local(0xf0, 0x1ff), ...local(0x320, 0x4_0020 + vector)],
        deadline,
        x86.enableInterrupts,
        forever(x86.halt),
      ),
    );
    await counted(machine, 2n);
    await countsOnElsewhere(machine);
  });

  test("has the interrupts of input that comes to it", async () => {
    const receive = [...x86.movDx(0x3f8), ...x86.inByte];
    using machine = new KvmMachine();
    machine.run(
      payload(
        handleInterrupt(machine, 4, [...COUNT, ...receive]),
        writePort(0x3f9, 1),
        x86.enableInterrupts,
        print("ready"),
        forever(x86.halt),
      ),
    );
    await machine.untilPrinted("ready");
    const snapshot = await takeSnapshot(machine);
    using restored = machineOf(snapshot, { input: "x" });
    restoreStates(restored, snapshot);
    restored.core.resumeVcpus();
    await until("the interrupt", () => restored.read64(COUNTER) === 1n);
  });

  test("costs the disk what the guest has written, and no memory is touched for it", async () => {
    using machine = new KvmMachine();
    machine.load(payload(x86.halt));
    const { memoryPath } = await takeSnapshot(machine);
    const file = statSync(memoryPath);
    expect(file.size).toBe(MEMORY_SIZE);
    expect(file.blocks * 512).toBeLessThan(256 * 1024);
  });
});

describe.skipIf(!hasKvm)("states", () => {
  test("are saved and restored at rest alone", () => {
    using machine = new KvmMachine();
    machine.run(payload(forever(x86.pause)));
    const { core } = machine;
    expect(() => saveState(core, StatePart.vcpu)).toThrow("state_save failed: invalid");
    expect(() => saveState(core, StatePart.vcpu, 1)).toThrow("state_save failed: invalid");
    core.pauseVcpus();
    const state = saveState(core, StatePart.vcpu);
    core.resumeVcpus();
    expect(() => restoreState(core, StatePart.vcpu, 0, state)).toThrow("state_restore failed");
  });

  test("of a guest that has ended are not saved", async () => {
    using machine = new KvmMachine();
    machine.run(payload(RESET));
    await machine.parked();
    machine.core.pauseVcpus();
    expect(faultOf(() => saveState(machine.core, StatePart.vcpu))).toContain("machine's end");
  });

  test("that are cut short, of another kind or newer are refused with the cause", () => {
    using machine = new KvmMachine();
    machine.load(payload(x86.halt));
    const { core } = machine;
    core.pauseVcpus();
    const vm = saveState(core, StatePart.vm);
    const vcpu = saveState(core, StatePart.vcpu);
    const newer = vm.slice();
    newer[8] = 2;
    const fault = (part: StatePart, state: Uint8Array) =>
      faultOf(() => restoreState(core, part, 0, state));
    expect(fault(StatePart.vm, vm)).toBe("none");
    expect(fault(StatePart.vcpu, vcpu)).toBe("none");
    expect(fault(StatePart.vm, vcpu)).toContain("another kind of thing (1)");
    expect(fault(StatePart.vm, vm.subarray(0, 100))).toContain("cut short");
    expect(fault(StatePart.vcpu, vcpu.subarray(0, 10))).toContain("cut short");
    expect(fault(StatePart.vm, newer)).toContain("version 2");
  });
});
