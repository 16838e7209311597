// The machine as a module test drives it (accel=test): accesses, memory, clock and interrupts.

import { Space } from "../core/abi.gen.ts";
import { UserError } from "../errors.ts";
import type { TestBus } from "../qmp/test_protocol.ts";
import type { Assembly } from "./assemble.ts";

/** A write that ended the machine, and why. */
export type ParkListener = (reason: number) => void;

export function createTestBus(assembly: Assembly, onPark: ParkListener): TestBus {
  const { core, lines } = assembly;
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
    read: (address, size) => readAt(assembly, Number(address), size),
    write: (address, size, value) => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, value, true);
      if (isMemory(assembly, Number(address))) {
        core.writeMemory(Number(address), bytes.subarray(0, size));
      } else {
        write(Space.mmio, Number(address), size, value);
      }
    },
    readBytes: (address, size) => core.readMemory(Number(address), size),
    writeBytes: (address, bytes) => core.writeMemory(Number(address), bytes),
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

function isMemory(assembly: Assembly, address: number): boolean {
  try {
    assembly.core.readMemory(address, 1);
    return true;
  } catch {
    return false;
  }
}

function readAt(assembly: Assembly, address: number, size: number): bigint {
  if (!isMemory(assembly, address)) return assembly.core.busRead(Space.mmio, address, size);
  const bytes = new Uint8Array(8);
  bytes.set(assembly.core.readMemory(address, size));
  return new DataView(bytes.buffer).getBigUint64(0, true);
}
