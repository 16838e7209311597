// The static executable runs where nothing else is: no /proc, no /dev, no /tmp, no library.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import {
  BUILD_TIMEOUT_MS,
  buildProbe,
  chroot,
  emptyRoot,
  execute,
  NOBODY,
  reportOf,
} from "./probe.ts";

const EMULATOR = "/usr/bin/qemu-aarch64-static";
const isRoot = process.getuid?.() === 0;
const hasEmulator = existsSync(EMULATOR);

if (!isRoot) console.log("skipped: chroot(2) needs root");
if (!hasEmulator) console.log(`skipped for aarch64: there is no ${EMULATOR}`);

describe.skipIf(!isRoot)("in an empty root", () => {
  let root: ReturnType<typeof emptyRoot>;
  beforeAll(() => {
    root = emptyRoot([buildProbe("x86_64")]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => root[Symbol.dispose]());

  test.each([0, NOBODY])("user %d gets the core's answers", (user) => {
    const report = reportOf(execute([...chroot(root.path, user), "/probe", "-version"]));
    expect(report).toMatchObject({ sum: 42, fill: 1000, lastByte: 1, user });
    expect(report.arguments).toEqual(["-version"]);
    expect(report.argv0).toBe("/probe");
  });

  test("threads of the core have their own thread-local data", () => {
    const report = reportOf(execute([...chroot(root.path, NOBODY), "/probe"]));
    expect(report.threads).toBe(32 * 7 + (31 * 32) / 2);
  });

  test("another library is refused with a sentence", () => {
    const report = reportOf(execute([...chroot(root.path, NOBODY), "/probe"]));
    expect(report.refusal).toContain('a static program can open no library but "builtin:core"');
  });

  test("closed standard descriptors do not stop it", () => {
    const shell = 'exec "$@" <&- 2>&-';
    const command = ["/bin/sh", "-c", shell, "sh", ...chroot(root.path, NOBODY), "/probe"];
    expect(reportOf(execute(command)).sum).toBe(42);
    const silent = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', ...command.slice(3)];
    expect(execute(silent).exitCode).toBe(0);
  });
});

describe.skipIf(!isRoot || !hasEmulator)("in an empty root on an emulated aarch64", () => {
  let root: ReturnType<typeof emptyRoot>;
  beforeAll(() => {
    root = emptyRoot([buildProbe("aarch64"), EMULATOR]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => root[Symbol.dispose]());

  test.each([0, NOBODY])(
    "user %d gets the core's answers",
    (user) => {
      const command = [...chroot(root.path, user), "/qemu-aarch64-static", "/probe"];
      const report = reportOf(execute(command));
      expect(report).toMatchObject({ sum: 42, fill: 1000, threads: 720, user });
    },
    60_000,
  );
});
