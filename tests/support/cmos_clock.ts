// The real-time clock as a guest driver uses it (MC146818).

import { ModelKind } from "../../src/core/abi.gen.ts";
import { BusMachine } from "./bus_machine.ts";

const INDEX_PORT = 0x70;
const DATA_PORT = 0x71;

export const CMOS = {
  seconds: 0x00,
  minutes: 0x02,
  hours: 0x04,
  weekday: 0x06,
  day: 0x07,
  month: 0x08,
  year: 0x09,
  statusA: 0x0a,
  statusB: 0x0b,
  statusC: 0x0c,
  statusD: 0x0d,
  century: 0x32,
} as const;

export class CmosClock implements Disposable {
  readonly machine = new BusMachine();
  readonly device = this.machine.core.createDevice({ model: ModelKind.cmos });

  constructor() {
    this.machine.addPorts(this.device, INDEX_PORT, 2);
  }

  read(index: number): number {
    this.machine.writePort(INDEX_PORT, index);
    return this.machine.readPort(DATA_PORT);
  }

  write(index: number, value: number): void {
    this.machine.writePort(INDEX_PORT, index);
    this.machine.writePort(DATA_PORT, value);
  }

  /** Century, year, month, day, hour, minute, second, as the registers show them in hexadecimal. */
  get time(): string {
    const { century, year, month, day, hours, minutes, seconds } = CMOS;
    const words = [century, year, month, day, hours, minutes, seconds].map((index) =>
      this.read(index).toString(16).padStart(2, "0"),
    );
    return words.join(" ");
  }

  advanceSeconds(seconds: number): void {
    const { core } = this.machine;
    core.moveClock(core.clockNow() + seconds * 1e9);
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}
