// Interrupts and notifications between guest and devices, which the kernel carries alone: irqfds
// wake a halted guest, ioeventfds start a disk's work without an exit.

import { describe, expect, test } from "bun:test";
import { ParkReason, RouteKind } from "../../src/core/abi.gen.ts";
import { BLK_REQUEST, BLK_STATUS, BlkDriver } from "../support/blk_driver.ts";
import { diskOn } from "../support/disk.ts";
import { hasKvm } from "../support/kvm.ts";
import { KvmMachine } from "../support/kvm_machine.ts";
import { MmioTransport, REGISTER } from "../support/mmio_transport.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";
import { handleInterrupt } from "../support/x86_interrupts.ts";

const RESET = writePort(0xcf9, 0x06);
const SERIAL_IRQ = 4;
const DISK_IRQ = 5;
const INTERRUPT_ENABLE = 0x3f9;
const TRANSMIT = 2;

/** A machine with a disk of sevens; the guest itself offers what its driver has prepared. */
class DiskMachine implements Disposable {
  readonly machine = new KvmMachine();
  readonly transport: MmioTransport;
  readonly driver: BlkDriver;

  constructor() {
    const content = new Uint8Array(64 * 1024).fill(7);
    const disk = diskOn(this.machine, this.machine.folder.file("disk.img"), content);
    this.transport = new MmioTransport(this.machine, disk);
    this.driver = new BlkDriver(this.transport, this.machine.ram);
    this.driver.start();
  }

  /** Code that shows the disk the first chain of its queue and notifies it. */
  get offer(): readonly number[] {
    const flagsAndIndex = 0x0001_0000;
    const register = this.transport.base + REGISTER.queueNotify;
    return [
      ...x86.movEdi(this.driver.queue(0).addresses.available),
      ...x86.movEax(flagsAndIndex),
      ...x86.storeEax,
      ...x86.movEdi(register),
      ...x86.movEax(0),
      ...x86.storeEax,
    ];
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

describe.skipIf(!hasKvm)("interrupts", () => {
  test("the serial port wakes a halted guest", async () => {
    using machine = new KvmMachine();
    const handler = [...writePort(INTERRUPT_ENABLE, 0), ...print("handler;")];
    machine.run(
      payload(
        handleInterrupt(machine, SERIAL_IRQ, handler),
        writePort(INTERRUPT_ENABLE, TRANSMIT),
        x86.enableInterrupts,
        x86.halt,
        print("awake"),
        RESET,
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    await machine.untilPrinted("handler;awake");
    expect(machine.core.deviceInfo(machine.serial).interruptCount).toBe(1);
  });

  test("an interrupt goes where its route says", async () => {
    using machine = new KvmMachine();
    const otherIrq = 3;
    const handler = [...writePort(INTERRUPT_ENABLE, 0), ...print("rerouted;")];
    const route = { gsi: SERIAL_IRQ, kind: RouteKind.pin, chip: 0, pin: otherIrq };
    machine.core.setRoutes([{ ...route, address: 0, data: 0 }]);
    machine.run(
      payload(
        handleInterrupt(machine, otherIrq, handler),
        writePort(INTERRUPT_ENABLE, TRANSMIT),
        x86.enableInterrupts,
        x86.halt,
        print("awake"),
        RESET,
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    await machine.untilPrinted("rerouted;awake");
  });

  test("a disk's completion wakes a halted guest", async () => {
    using disk = new DiskMachine();
    const { driver, machine } = disk;
    const input = [driver.ram.allocate(4096)];
    driver.queue(0).add(driver.prepare({ type: BLK_REQUEST.read, input }).parts);
    machine.run(
      payload(
        handleInterrupt(machine, DISK_IRQ, [...print("done"), ...RESET]),
        disk.offer,
        x86.enableInterrupts,
        forever(x86.halt),
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    await machine.untilPrinted("done");
    expect(disk.transport.interruptCount()).toBe(1);
  });
});

describe.skipIf(!hasKvm)("notifications", () => {
  test("reach the disk without an exit, and its data reach the guest", async () => {
    using disk = new DiskMachine();
    const { driver, machine } = disk;
    const buffer = driver.ram.allocate(4096);
    const request = driver.prepare({ type: BLK_REQUEST.read, input: [buffer] });
    driver.queue(0).add(request.parts);
    const poll = [...x86.pause, ...x86.compareWord(0)];
    machine.run(
      payload(
        disk.offer,
        x86.movEdi(driver.queue(0).addresses.used + 2),
        poll,
        x86.jumpBackIfEqual(poll.length),
        RESET,
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    expect(driver.ram.read(buffer)).toEqual(new Uint8Array(4096).fill(7));
    expect(driver.statusOf(request)).toBe(BLK_STATUS.ok);
    expect(machine.core.vcpuInfo(0)).toMatchObject({ mmioExits: 0, pioExits: 1, parkCount: 1 });
  });

  test("of registers that are no notification exit, and read what the device says", async () => {
    using disk = new DiskMachine();
    const { machine, transport } = disk;
    const shown = machine.ram.allocate(8).address;
    machine.run(
      payload(
        x86.movEdi(transport.base + REGISTER.magic),
        x86.loadEax,
        x86.movEdi(shown),
        x86.storeEax,
        x86.movEdi(transport.base + REGISTER.status),
        x86.movEax(0),
        x86.storeEax,
        RESET,
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    expect(machine.read64(shown)).toBe(0x7472_6976n);
    expect(transport.status()).toBe(0);
    expect(machine.core.vcpuInfo(0)).toMatchObject({ mmioExits: 2, pioExits: 1 });
  });

  test("of a queue that is not there do nothing", async () => {
    using disk = new DiskMachine();
    const { machine, transport, driver } = disk;
    machine.run(
      payload(
        x86.movEdi(transport.base + REGISTER.queueNotify),
        x86.movEax(0x1_0000),
        x86.storeEax,
        RESET,
      ),
    );
    expect(await machine.parked()).toBe(ParkReason.reset);
    expect(driver.needsReset).toBe(false);
    expect(machine.core.vcpuInfo(0).mmioExits).toBe(1);
  });
});
