// Every kind of wrong command line with its exact sentence; the tables are bad_*input.txt: a line
// of argv, then the sentence indented by two spaces.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { refusalOf, words } from "./run.ts";

const files = [
  "bad_chardev_input.txt",
  "bad_input.txt",
  "bad_memory_input.txt",
  "bad_network_input.txt",
  "bad_template_input.txt",
  "bad_vhost_user_input.txt",
  "bad_watching_input.txt",
];
const tables = files.map((name) => readFileSync(join(import.meta.dir, name), "utf8").trimEnd());
const lines = tables.join("\n").split("\n");
const rows = lines
  .filter((line) => !line.startsWith("  "))
  .map((argv, index) => [argv, (lines[2 * index + 1] ?? "").trim()] as const);

test("the table has a sentence for each of at least 200 lines", () => {
  expect(rows.length).toBeGreaterThanOrEqual(200);
  expect(rows.length * 2).toBe(lines.length);
});

test.each(rows)("%s", (argv, sentence) => {
  expect(refusalOf(words(argv))).toBe(sentence);
});

test("a name over 255 bytes is refused and shown shortened", () => {
  const shown = `${"n".repeat(77)}…`;
  const sentence = `Bad value '${shown}' for -name: expected 1 to 255 bytes.`;
  expect(refusalOf(["-kernel", "k", "-name", "n".repeat(256)])).toBe(sentence);
});

test("bytes count and not letters", () => {
  const sentence = `Bad value '${"ü".repeat(11)}' for serial of -device virtio-blk-device`;
  const device = `virtio-blk-device,drive=a,serial=${"ü".repeat(11)}`;
  expect(refusalOf(["-kernel", "k", "-device", device])).toBe(
    `${sentence}: expected 1 to 20 bytes.`,
  );
});

test("names of JavaScript's own properties are no drivers, back ends or transports", () => {
  const list = "Use '-device help' to list them.";
  expect(refusalOf(["-device", "toString"])).toBe(`Unknown driver 'toString' of -device. ${list}`);
  expect(refusalOf(["-qmp", "constructor:x"])).toContain("Unknown transport 'constructor:x'");
});
