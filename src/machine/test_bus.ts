// The machine as a module test drives it (accel=test): accesses, memory, clock and interrupts.

import { Space } from "../core/abi.gen.ts";
import { UserError } from "../errors.ts";
import type { AddressRange } from "../firmware/e820.ts";
import type { TestBus } from "../qmp/test_protocol.ts";
import type { Assembly } from "./assemble.ts";

/** A write that ended the machine, and why. */
export type ParkListener = (reason: number) => void;

export function createTestBus(assembly: Assembly, onPark: ParkListener): TestBus {
  const { core, lines, ram } = assembly;
  const seen = new Map<number, number>();
  const pulses = (irq: number): number => {
    const device = lines.get(irq);
    return device === undefined ? 0 : core.deviceInfo(device).interruptCount;
  };
  const write = (space: Space, address: number, size: number, value: bigint): void => {
    const reason = core.busWrite(space, address, size, value);
    if (reason !== 0) onPark(reason);
  };
  return {
    read: (address, size) => {
      const at = addressOf(address);
      if (!isMemory(ram, at, size)) return core.busRead(Space.mmio, at, size);
      return toNumber(core.readMemory(at, size));
    },
    write: (address, size, value) => {
      const at = addressOf(address);
      if (!isMemory(ram, at, size)) return write(Space.mmio, at, size, value);
      core.writeMemory(at, toBytes(value, size));
    },
    readBytes: (address, size) => core.readMemory(addressOf(address), size),
    writeBytes: (address, bytes) => core.writeMemory(addressOf(address), bytes),
    readPort: (port, size) => core.busRead(Space.pio, port, size),
    writePort: (port, size, value) => write(Space.pio, port, size, value),
    clockStep: (stepNs) => BigInt(core.moveClock(core.clockNow() + Number(stepNs ?? 0n))),
    clockSet: (timeNs) => BigInt(core.moveClock(Number(timeNs))),
    queryMsix: () => {
      throw new UserError("this machine has no MSI-X: ask query_intx");
    },
    // Edge-triggered lines have no level: a pulse counts until it is acknowledged.
    queryIntx: (irq) => pulses(irq) > (seen.get(irq) ?? 0),
    eoiIntx: (irq) => {
      const count = pulses(irq);
      const wasPending = count > (seen.get(irq) ?? 0);
      seen.set(irq, count);
      return wasPending;
    },
  };
}

function isMemory(ram: readonly AddressRange[], address: number, size: number): boolean {
  return ram.some((range) => {
    return address >= range.address && address + size <= range.address + range.size;
  });
}

/** No machine has anything beyond 52 bits of address. */
function addressOf(address: bigint): number {
  if (address > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new UserError(`the address 0x${address.toString(16)} is above all that a guest can have`);
  }
  return Number(address);
}

function toBytes(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes.subarray(0, size);
}

function toNumber(bytes: Uint8Array): bigint {
  const padded = new Uint8Array(8);
  padded.set(bytes);
  return new DataView(padded.buffer).getBigUint64(0, true);
}
