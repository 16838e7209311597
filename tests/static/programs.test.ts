// Both programs of dist/ run in an empty root, for both processors, under both users.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildArchitecture } from "../../scripts/build.ts";
import { ROOT } from "../../scripts/static/paths.ts";
import { BUILD_TIMEOUT_MS, chroot, emptyRoot, execute, NOBODY } from "./probe.ts";

const EMULATOR = "/usr/bin/qemu-aarch64-static";
const hasSources = ["src/main.ts", "src/ozone.ts"].every((path) => existsSync(join(ROOT, path)));
const canRun = hasSources && process.getuid?.() === 0;
const canEmulate = canRun && existsSync(EMULATOR);

if (!canRun) console.log("skipped: needs root, src/main.ts and src/ozone.ts");
if (!canEmulate) console.log(`skipped for aarch64: also needs ${EMULATOR}`);

const CASES = [
  ["stratovirt", 0],
  ["stratovirt", NOBODY],
  ["ozone", 0],
  ["ozone", NOBODY],
] as const;

describe.skipIf(!canRun)("the programs for x86_64", () => {
  let root: ReturnType<typeof emptyRoot>;
  let stratovirt: string;
  beforeAll(() => {
    stratovirt = buildArchitecture("x86_64");
    root = emptyRoot([stratovirt, ozoneBeside(stratovirt)]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => root[Symbol.dispose]());

  test("are one file, so that the page cache holds it once", () => {
    expect(statSync(ozoneBeside(stratovirt)).ino).toBe(statSync(stratovirt).ino);
  });

  test.each(CASES)("%s tells its version as user %d", (name, user) => {
    const outcome = execute([...chroot(root.path, user), `/${name}`, "-version"]);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    expect(outcome.stdout).toMatch(/\d+\.\d+\.\d+/);
    expect(outcome.stdout.toLowerCase()).toContain(name);
  });
});

describe.skipIf(!canEmulate)("the programs for aarch64", () => {
  let root: ReturnType<typeof emptyRoot>;
  beforeAll(() => {
    const stratovirt = buildArchitecture("aarch64");
    root = emptyRoot([stratovirt, ozoneBeside(stratovirt), EMULATOR]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => root[Symbol.dispose]());

  test.each(CASES)(
    "%s tells its version as user %d",
    (name, user) => {
      const emulator = [...chroot(root.path, user), "/qemu-aarch64-static"];
      const outcome = execute([...emulator, `/${name}`, "-version"]);
      expect(outcome.exitCode).toBe(0);
      expect(outcome.stdout.toLowerCase()).toContain(name);
    },
    60_000,
  );
});

function ozoneBeside(stratovirt: string): string {
  return join(stratovirt, "../ozone");
}
