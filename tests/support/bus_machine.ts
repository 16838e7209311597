// A machine without a processor (accel=test): guest memory, an address map, and whatever devices a
// test attaches. Disposing of it ends its threads.

import "./core_library.ts";
import { closeSync } from "node:fs";
import { Space } from "../../src/core/abi.gen.ts";
import { Core, type DeviceId, type Window } from "../../src/core/core.ts";
import { createMemoryFile } from "../../src/core/host_calls.ts";
import { GuestRam } from "./guest_ram.ts";

const MIB = 2 ** 20;
/** Two regions with a gap between them, as a machine with memory above 4 GiB has. */
const LOW_SIZE = 32 * MIB;
const HIGH_START = 4096 * MIB;
const HIGH_SIZE = MIB;
const MMIO_START = 0xf010_0000;

/** What carries a device of a test. */
export interface DeviceHost {
  readonly core: Core;
  /** Memory for drivers. */
  readonly ram: GuestRam;
  /** Gives a device the next free window of this size; returns its address. */
  addMmioWindow(device: DeviceId, size: number): number;
  /** Called after the core is gone, in the order given. */
  onClose(closer: () => void): void;
}

export class BusMachine implements DeviceHost, Disposable {
  readonly core = Core.create();
  readonly ram: GuestRam;
  readonly lowMemoryEnd = LOW_SIZE;
  readonly highMemoryStart = HIGH_START;
  readonly #windows: Window[] = [];
  readonly #closers: (() => void)[] = [];
  #nextMmio = MMIO_START;

  /** Memory that is `shared` can be mapped by another process. */
  constructor(memory: "private" | "shared" = "private") {
    this.addMemory(0, LOW_SIZE, memory);
    this.addMemory(HIGH_START, HIGH_SIZE, memory);
    this.ram = new GuestRam(this.core, { start: 0x1000, end: LOW_SIZE - 0x1000 });
  }

  addMemory(guestAddress: number, size: number, memory: "private" | "shared" = "private"): void {
    const place = { guestAddress, size, dump: 0 };
    if (memory === "shared") {
      const fd = createMemoryFile(this.core, size);
      this.onClose(() => closeSync(fd));
      this.core.addMemory({ ...place, fd, shared: 1 });
    } else this.core.addMemory(place);
  }

  addMmioWindow(device: DeviceId, size: number): number {
    const base = this.#nextMmio;
    this.#nextMmio += size;
    this.#publish({ base, size, space: Space.mmio, device, region: 0 });
    return base;
  }

  addPorts(device: DeviceId, base: number, size: number, region = 0): void {
    this.#publish({ base, size, space: Space.pio, device, region });
  }

  #publish(window: Window): void {
    this.#windows.push(window);
    this.core.publishMap(this.#windows);
  }

  readPort(port: number): number {
    return Number(this.core.busRead(Space.pio, port, 1));
  }

  /** Returns the reason for which the guest would stop; 0 for none. */
  writePort(port: number, value: number): number {
    return this.core.busWrite(Space.pio, port, 1, BigInt(value));
  }

  onClose(closer: () => void): void {
    this.#closers.push(closer);
  }

  [Symbol.dispose](): void {
    this.core.destroy();
    for (const closer of this.#closers) closer();
  }
}
