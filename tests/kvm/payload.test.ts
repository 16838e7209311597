// Tiny payloads on a real processor: port and memory accesses, halts, interrupts, and every way in
// which a guest ends. They run on any KVM.

import { describe, expect, test } from "bun:test";
import { ModelKind, ParkReason, VcpuState } from "../../src/core/abi.gen.ts";
import { hasKvm } from "../support/kvm.ts";
import { KvmMachine, PAYLOAD_ADDRESS } from "../support/kvm_machine.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";

const RESET = writePort(0xcf9, 0x06);
const COUNTER = 0x20_0000;
const count = payload(x86.movEdi(COUNTER), forever(x86.increment));

describe.skipIf(!hasKvm)("accesses", () => {
  test("what a guest writes to the serial port is in its file", async () => {
    using machine = new KvmMachine();
    machine.run(payload(print("hello"), RESET));
    expect(await machine.parked()).toBe(ParkReason.reset);
    await machine.untilPrinted("hello");
  });

  test("a string instruction writes each of its bytes", async () => {
    using machine = new KvmMachine();
    const text = "a string of forty-two bytes on the serial.";
    machine.core.writeMemory(COUNTER, new TextEncoder().encode(text));
    machine.run(
      payload(x86.movEsi(COUNTER), x86.movEcx(text.length), x86.movDx(0x3f8), x86.outString, RESET),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    await machine.untilPrinted(text);
  });

  test("a port that nobody answers reads as ones", async () => {
    using machine = new KvmMachine();
    machine.run(
      payload(
        x86.movEax(0),
        x86.movDx(0x1234),
        x86.inByte,
        x86.movEdi(COUNTER),
        x86.storeEax,
        RESET,
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    expect(machine.read64(COUNTER)).toBe(0xffn);
  });

  test("nothing but the end waits for JavaScript; exits are counted by their kind", async () => {
    using machine = new KvmMachine();
    machine.run(payload(print("x".repeat(100)), RESET));
    await machine.parked();
    const info = machine.core.vcpuInfo(0);
    expect(info.parkCount).toBe(1);
    expect(info.pioExits).toBe(101);
    expect(info.mmioExits).toBe(0);
    expect(machine.core.takeNews().ringCount).toBe(1);
  });
});

describe.skipIf(!hasKvm)("the machine", () => {
  test("knows what its KVM can do, and keeps real time, which nobody moves", () => {
    using machine = new KvmMachine();
    const { vcpuCountMax, memorySlotCount } = machine.core.capabilities();
    expect(vcpuCountMax).toBeGreaterThan(0);
    expect(memorySlotCount).toBeGreaterThan(0);
    const now = machine.core.clockNow();
    expect(() => machine.core.moveClock(now + 1e9)).toThrow("clock_move failed: unsupported");
    expect(machine.core.clockNow()).toBeWithin(now, now + 1e9);
  });
});

describe.skipIf(!hasKvm)("ends", () => {
  const ends: [string, Uint8Array, ParkReason][] = [
    ["the keyboard controller's reset", payload(writePort(0x64, 0xfe)), ParkReason.reset],
    ["the reset register", payload(RESET), ParkReason.reset],
    ["ACPI power-off", payload(writePort(0xce9, 0x34)), ParkReason.powerOff],
    [
      "a triple fault",
      payload(x86.movEdi(COUNTER), x86.loadInterruptTable, x86.undefined),
      ParkReason.tripleFault,
    ],
  ];
  test.each(ends)("%s", async (_name, code, reason) => {
    using machine = new KvmMachine();
    machine.run(code);
    expect(await machine.parked()).toBe(reason);
    expect(machine.core.vcpuInfo(0)).toMatchObject({ state: VcpuState.parked, parkCount: 1 });
  });

  test("a guest that runs into nothing stops, and its registers say where", async () => {
    using machine = new KvmMachine();
    machine.run(payload(x86.movEax(0xd000_0000), x86.jumpToRax));
    expect(await machine.parked()).toBe(ParkReason.vcpuFailed);
    const { failureExitReason, failureErrno } = machine.core.vcpuInfo(0);
    expect(failureExitReason + failureErrno).toBeGreaterThan(0);
    expect(machine.core.vcpuRegisters(0)).toMatchObject({
      rip: 0xd000_0000n,
      rax: 0xd000_0000n,
      cr3: 0x9000n,
    });
  });

  test("a parked processor goes on when it is answered", async () => {
    using machine = new KvmMachine();
    machine.run(payload(RESET, print("on"), RESET));
    await machine.parked();
    machine.core.answerPark(0);
    await machine.untilPrinted("on");
    expect(await machine.parked()).toBe(ParkReason.reset);
    expect(machine.core.vcpuInfo(0).parkCount).toBe(2);
  });

  test.each([
    ["spins", payload(forever(x86.pause))],
    ["counts", count],
    ["writes ports", payload(forever(writePort(0x1234, 0)))],
    ["halts without interrupts", payload(x86.disableInterrupts, x86.halt)],
    ["is parked", payload(RESET)],
  ])("a machine whose guest %s ends within a second", (_name, code) => {
    const machine = new KvmMachine();
    machine.run(code);
    const start = performance.now();
    machine[Symbol.dispose]();
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe.skipIf(!hasKvm)("pause and resume", () => {
  test("a counter stands still in each of 200 pauses, and goes on after it", async () => {
    using machine = new KvmMachine();
    machine.run(count);
    let last = -1n;
    for (let round = 0; round < 200; round += 1) {
      await until("a higher count", () => machine.read64(COUNTER) > last);
      machine.core.pauseVcpus();
      const paused = machine.read64(COUNTER);
      expect(paused).toBeGreaterThan(last);
      expect(machine.core.vcpuInfo(0).state).toBe(VcpuState.paused);
      expect(machine.read64(COUNTER)).toBe(paused);
      last = paused;
      machine.core.resumeVcpus();
    }
    expect(machine.core.vcpuInfo(0).parkCount).toBe(0);
  });

  test("registers of a paused processor are whole, of a running one refused", async () => {
    using machine = new KvmMachine();
    machine.run(count);
    await until("the first count", () => machine.read64(COUNTER) > 0n);
    expect(() => machine.core.vcpuRegisters(0)).toThrow("vcpu_registers failed: invalid");
    machine.core.pauseVcpus();
    const { rip, rdi } = machine.core.vcpuRegisters(0);
    expect(rdi).toBe(BigInt(COUNTER));
    expect(Number(rip) - PAYLOAD_ADDRESS).toBeWithin(0, count.length + 1);
  });

  test("processors that nobody has started pause, resume and end with the first", async () => {
    using machine = new KvmMachine({ vcpuCount: 4 });
    machine.run(count);
    for (let round = 0; round < 10; round += 1) {
      machine.core.pauseVcpus();
      const states = [0, 1, 2, 3].map((vcpu) => machine.core.vcpuInfo(vcpu).state);
      expect(states).toEqual(Array(4).fill(VcpuState.paused));
      machine.core.resumeVcpus();
    }
    const apicIds = [0, 1, 2, 3].map((vcpu) => machine.core.vcpuInfo(vcpu).apicId);
    expect(apicIds).toEqual([0, 1, 2, 3]);
  });

  test("a device can go while its guest uses the bus", async () => {
    using machine = new KvmMachine();
    machine.run(payload(x86.movEdi(COUNTER), forever([...writePort(0x70, 1), ...x86.increment])));
    for (let round = 0; round < 100; round += 1) {
      const clock = machine.core.createDevice({ model: ModelKind.cmos });
      machine.core.publishMap([{ base: 0x70, size: 2, space: 1, device: clock, region: 0 }]);
      const seen = machine.read64(COUNTER);
      await until("a higher count", () => machine.read64(COUNTER) > seen);
      machine.core.publishMap([]);
      machine.core.destroyDevice(clock);
    }
    expect(machine.core.vcpuInfo(0).state).toBe(VcpuState.running);
  });
});
