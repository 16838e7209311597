// Nothing in the environment or in the working folder changes what the static executable is.

import { beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILD_TIMEOUT_MS, buildProbe, execute, reportOf } from "./probe.ts";

/** What the program itself tells its JavaScript engine (zig/static/start.zig). */
const SETTINGS = ["BUN_JSC_thresholdForJITAfterWarmUp", "BUN_JSC_thresholdForJITSoon"];

let probe: string;
beforeAll(() => {
  probe = buildProbe("x86_64");
}, BUILD_TIMEOUT_MS);

test.each([
  ["BUN_BE_BUN", "1"],
  ["BUN_OPTIONS", "--print=1"],
  ["NODE_OPTIONS", "--require=/nowhere.js"],
  ["BUN_INSPECT", "ws://127.0.0.1:1/"],
  ["BUN_JSC_useJIT", "0"],
  ["JSC_useJIT", "0"],
  ["MIMALLOC_SHOW_STATS", "1"],
  ["mimalloc_show_stats", "1"],
])("%s is not seen", (name, value) => {
  const outcome = execute([probe, "-e", "1"], { variables: { [name]: value, KEPT: "1" } });
  const report = reportOf(outcome);
  expect(report).toMatchObject({ sum: 42, arguments: ["-e", "1"], execArgv: [] });
  expect(report.variables.toSorted()).toEqual([...SETTINGS, "KEPT"]);
  expect(outcome.stderr).toBe("");
});

test.each([["--version"], ["--help"], ["-e"], ["run"], ["--smol"], ["--inspect"]])(
  "the argument %s reaches the program",
  (argument) => {
    expect(reportOf(execute([probe, argument])).arguments).toEqual([argument]);
  },
);

test("bunfig.toml and .env in the working folder are not read", () => {
  const folder = mkdtempSync(join(tmpdir(), "stratovirt-folder-"));
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
  writeFileSync(join(folder, "preload.ts"), 'console.log("preloaded");\n');
  writeFileSync(join(folder, ".env"), "FROM_FILE=1\n");
  const outcome = execute([probe], { folder });
  rmSync(folder, { recursive: true });
  expect(reportOf(outcome).variables.toSorted()).toEqual(SETTINGS);
  expect(outcome.stderr).toBe("");
});
