// Ctrl-A on a console of a terminal: x leaves, a second Ctrl-A sends one (guidebook 3.2).

import { expect, test } from "bun:test";
import { News } from "../../../src/core/abi.gen.ts";
import { SerialBench } from "../../support/serial_bench.ts";
import { until } from "../../support/until.ts";

async function received(serial: SerialBench, length: number): Promise<string> {
  let text = "";
  await until("input", () => {
    text += serial.receive();
    return text.length >= length;
  });
  return text;
}

const ROWS: [string, string, string, number][] = [
  ["Ctrl-A x leaves and is not the guest's", "ab\x01xcd", "abcd", 1 << News.consoleQuit],
  ["Ctrl-A twice is one for the guest", "a\x01\x01b", "a\x01b", 0],
  ["Ctrl-A and anything else is nothing", "a\x01zb", "ab", 0],
  ["text without Ctrl-A is the guest's", "axb\x02", "axb\x02", 0],
];

test.each(ROWS)("%s", async (_name, typed, seen, bits) => {
  using serial = new SerialBench({ input: typed, escape: 1 });
  expect(await received(serial, seen.length)).toBe(seen);
  expect(serial.machine.core.takeNews().bits).toBe(bits);
});

test("input that is no terminal has no escape", async () => {
  using serial = new SerialBench({ input: "a\x01xb" });
  expect(await received(serial, 4)).toBe("a\x01xb");
  expect(serial.machine.core.takeNews().bits).toBe(0);
});

test("Ctrl-A x leaves also when the guest takes no input, and the input waits", async () => {
  const typed = "t".repeat(2000);
  using serial = new SerialBench({ input: `${typed}\x01x`, escape: 1 });
  let bits = 0;
  await until("the escape", () => {
    bits |= serial.machine.core.takeNews().bits;
    return bits !== 0;
  });
  expect(bits).toBe(1 << News.consoleQuit);
  expect(await received(serial, typed.length)).toBe(typed);
});
