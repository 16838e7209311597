// The real-time clock: follows the machine's virtual time, can be set, and keeps its memory.

import { expect, test } from "bun:test";
import { CMOS, CmosClock } from "../../support/cmos_clock.ts";

const DAY_SECONDS = 86_400;
const SET = 0x80;
const BINARY = 0x04;
const HOURS_24 = 0x02;

test("virtual time begins in 2026 and moves only when the test moves it", () => {
  using clock = new CmosClock();
  expect(clock.time).toBe("20 26 01 01 00 00 00");
  expect(clock.read(CMOS.weekday)).toBe(5);
  clock.advanceSeconds(59);
  expect(clock.time).toBe("20 26 01 01 00 00 59");
  clock.advanceSeconds(1);
  expect(clock.time).toBe("20 26 01 01 00 01 00");
  clock.advanceSeconds(31 * DAY_SECONDS);
  expect(clock.time).toBe("20 26 02 01 00 01 00");
});

test("virtual time never goes back", () => {
  using clock = new CmosClock();
  const { core } = clock.machine;
  expect(core.moveClock(5e9)).toBe(5e9);
  expect(core.moveClock(1e9)).toBe(5e9);
  expect(core.clockNow()).toBe(5e9);
});

test("leap days come in the years that have them", () => {
  using clock = new CmosClock();
  clock.advanceSeconds((2 * 365 + 31 + 28) * DAY_SECONDS);
  expect(clock.time).toBe("20 28 02 29 00 00 00");
  clock.advanceSeconds(DAY_SECONDS);
  expect(clock.time).toBe("20 28 03 01 00 00 00");
});

test("a guest sets date and time with SET, and they go on from there", () => {
  using clock = new CmosClock();
  clock.write(CMOS.statusB, SET | HOURS_24);
  const fields: [number, number][] = [
    [CMOS.century, 0x19],
    [CMOS.year, 0x99],
    [CMOS.month, 0x12],
    [CMOS.day, 0x31],
    [CMOS.hours, 0x23],
    [CMOS.minutes, 0x59],
    [CMOS.seconds, 0x58],
  ];
  for (const [index, value] of fields) clock.write(index, value);
  clock.advanceSeconds(1000);
  expect(clock.time).toBe("19 99 12 31 23 59 58");
  clock.write(CMOS.statusB, HOURS_24);
  expect(clock.time).toBe("19 99 12 31 23 59 58");
  clock.advanceSeconds(3);
  expect(clock.time).toBe("20 00 01 01 00 00 01");
});

test("a single field can be set without SET", () => {
  using clock = new CmosClock();
  clock.write(CMOS.hours, 0x13);
  clock.advanceSeconds(5);
  expect(clock.time).toBe("20 26 01 01 13 00 05");
});

test("binary and 12-hour forms show the same time", () => {
  using clock = new CmosClock();
  clock.advanceSeconds(13 * 3600 + 45 * 60);
  clock.write(CMOS.statusB, HOURS_24 | BINARY);
  expect([clock.read(CMOS.hours), clock.read(CMOS.minutes)]).toEqual([13, 45]);
  clock.write(CMOS.statusB, 0);
  expect([clock.read(CMOS.hours), clock.read(CMOS.minutes)]).toEqual([0x81, 0x45]);
  clock.write(CMOS.hours, 0x12);
  clock.write(CMOS.statusB, HOURS_24);
  expect(clock.read(CMOS.hours)).toBe(0);
});

test("no value that a guest writes breaks the clock", () => {
  using clock = new CmosClock();
  const indexes = Object.values(CMOS);
  for (const index of indexes) for (const value of [0xff, 0, 0xf9, 0x7f]) clock.write(index, value);
  clock.write(CMOS.statusB, HOURS_24);
  clock.advanceSeconds(10 * 365 * DAY_SECONDS);
  expect(clock.time).toMatch(/^[\da-f]{2}( [\da-f]{2}){6}$/);
});

test("status D says that the battery is good, and status C has no interrupt", () => {
  using clock = new CmosClock();
  clock.write(CMOS.statusC, 0xff);
  clock.write(CMOS.statusD, 0);
  expect(clock.read(CMOS.statusC)).toBe(0);
  expect(clock.read(CMOS.statusD)).toBe(0x80);
});

test("memory behind the clock keeps what is written; the index port reads as nothing", () => {
  using clock = new CmosClock();
  clock.write(0x40, 0xa5);
  clock.write(0xc1, 0x5a);
  expect([clock.read(0x40), clock.read(0x41)]).toEqual([0xa5, 0x5a]);
  expect(clock.machine.readPort(0x70)).toBe(0xff);
});
