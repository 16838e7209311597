// The log file turns over by size and by day, keeps six older ones, and survives a full disk.

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { logLevel, openLog } from "../../src/host/log.ts";
import { LogFile } from "../../src/host/log_file.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const NOON = new Date(2026, 10, 24, 12);
const NEXT_DAY = new Date(2026, 10, 25, 0, 0, 1);

let folder: TemporaryFolder;
let path: string;
beforeEach(() => {
  folder = new TemporaryFolder();
  path = folder.file("log");
});
afterEach(() => folder[Symbol.dispose]());

const text = (name: string): string => readFileSync(folder.file(name), "utf8");
const bytes = (line: string): Uint8Array => new TextEncoder().encode(line);

/** What a pipe holds, which is at most so much. */
function readAll(fd: number): string {
  const room = Buffer.alloc(64 * 1024);
  return room.toString("utf8", 0, readSync(fd, room));
}

test("appends to what is there and is private to user and group", () => {
  writeFileSync(path, "before\n", { mode: 0o640 });
  utimesSync(path, NOON, NOON);
  const log = new LogFile(path);
  log.write(bytes("after\n"), NOON);
  log.close();
  expect(text("log")).toBe("before\nafter\n");
  expect(statSync(path).mode & 0o777).toBe(0o640);
});

test("turns over before it would pass its size, and keeps six older files", () => {
  const log = new LogFile(path, 10);
  utimesSync(path, NOON, NOON);
  for (let line = 0; line < 9; line += 1) log.write(bytes(`line ${line}..\n`), new Date());
  log.close();
  expect(text("log")).toBe("line 8..\n");
  expect(text("log1")).toBe("line 7..\n");
  expect(text("log6")).toBe("line 2..\n");
  expect(existsSync(`${path}7`)).toBe(false);
});

test("turns over when the day of the month changes, also over a restart", () => {
  writeFileSync(path, "yesterday\n");
  utimesSync(path, NOON, NOON);
  const log = new LogFile(path);
  log.write(bytes("today\n"), NEXT_DAY);
  log.close();
  expect(text("log")).toBe("today\n");
  expect(text("log1")).toBe("yesterday\n");
});

test("a full disk costs lines and nothing else", () => {
  const log = new LogFile("/dev/full");
  expect(log.write(bytes("lost\n"), new Date())).toBe(0);
  log.close();
});

test("a pipe that nobody reads is refused, and one that is full costs lines", () => {
  Bun.spawnSync(["mkfifo", path]);
  expect(() => openLog(path, "error")).toThrow(`'${path}' (-D) cannot be opened (ENXIO)`);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const log = openLog(path, "error");
  for (let line = 0; line < 100; line += 1) log.error(`${line} ${"x".repeat(1000)}`);
  const first = readAll(reader);
  log.error("there again");
  log.close();
  const rest = readAll(reader);
  closeSync(reader);
  expect(`${first}${rest}`).toMatch(/ x{1000}\n.*:ERROR: \d+ lines are missing .*\n.*again\n$/);
});

test("a path that cannot be opened is one sentence", () => {
  expect(() => new LogFile(folder.file("absent/log"))).toThrow(
    `The log file '${folder.path}/absent/log' (-D) cannot be opened (ENOENT); check the path.`,
  );
});

test.each([
  [undefined, "error"],
  ["info", "info"],
  ["TRACE", "trace"],
  ["loud", "error"],
] as const)("STRATOVIRT_LOG_LEVEL %p means level %s", (word, level) => {
  expect(logLevel(word)).toBe(level);
});
