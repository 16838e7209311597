// Interrupts of a payload: an interrupt table with one handler, and the two interrupt controllers
// of a PC (Intel SDM volume 3, section 6.14.1; Intel 8259A).

import type { KvmMachine } from "./kvm_machine.ts";
import { payload, writePort, x86 } from "./x86.ts";

const VECTOR_BASE = 0x20;
const CODE_SELECTOR = 0x10;
const INTERRUPT_GATE = 0x8e;
const GATE_SIZE = 16;
const FIRST_COMMAND = 0x20;
const FIRST_DATA = 0x21;
const SECOND_DATA = 0xa1;
const END_OF_INTERRUPT = 0x20;

/**
 * Puts a handler for the line into memory: `body`, the acknowledgement, and the return. Gives the
 * code that makes it so, with interrupts still disabled.
 */
export function handleInterrupt(
  machine: KvmMachine,
  irq: number,
  body: readonly number[],
): readonly number[] {
  const { ram } = machine;
  const acknowledge = writePort(FIRST_COMMAND, END_OF_INTERRUPT);
  const handler = ram.place(payload(body, acknowledge, x86.interruptReturn)).address;
  const table = new DataView(new ArrayBuffer(256 * GATE_SIZE));
  const gate = (VECTOR_BASE + irq) * GATE_SIZE;
  table.setUint16(gate, handler & 0xffff, true);
  table.setUint16(gate + 2, CODE_SELECTOR, true);
  table.setUint8(gate + 5, INTERRUPT_GATE);
  table.setUint16(gate + 6, handler >>> 16, true);
  const descriptor = new DataView(new ArrayBuffer(10));
  descriptor.setUint16(0, table.byteLength - 1, true);
  const tableAddress = ram.place(new Uint8Array(table.buffer)).address;
  descriptor.setBigUint64(2, BigInt(tableAddress), true);
  return [
    ...x86.disableInterrupts,
    ...x86.movEdi(ram.place(new Uint8Array(descriptor.buffer)).address),
    ...x86.loadInterruptTable,
    ...initialiseControllers(irq),
  ];
}

/** Edge mode, vectors from 0x20, all lines but one masked. */
function initialiseControllers(irq: number): number[] {
  return [
    ...writePort(FIRST_COMMAND, 0x11),
    ...writePort(FIRST_DATA, VECTOR_BASE),
    ...writePort(FIRST_DATA, 0x04),
    ...writePort(FIRST_DATA, 0x01),
    ...writePort(FIRST_DATA, 0xff & ~(1 << irq)),
    ...writePort(SECOND_DATA, 0xff),
  ];
}
