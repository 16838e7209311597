// The C++ functions in Zig do what the C++ library of the machine does.

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/static/command.ts";
import { CACHE, ROOT, ZIG_CACHE } from "../../scripts/static/paths.ts";
import { BUILD_TIMEOUT_MS, execute } from "./probe.ts";

const compiler = Bun.which("g++");
if (compiler === null) console.log("skipped: there is no g++ to compare with");

const folder = mkdtempSync(join(tmpdir(), "stratovirt-cxx-"));
afterAll(() => rmSync(folder, { recursive: true }));

function buildComparison(): string {
  mkdirSync(CACHE, { recursive: true });
  const sources = join(import.meta.dir, "cxx");
  const object = join(folder, "probe.o");
  const program = join(folder, "compare");
  const zig = ["python3", "-m", "ziglang", "build-obj", "-O", "ReleaseSafe", "-fno-stack-check"];
  const modules = [
    ...["--dep", "cxx", `-Mroot=${join(sources, "probe.zig")}`],
    `-Mcxx=${join(ROOT, "zig/static/cxx/cxx.zig")}`,
  ];
  run([...zig, "-fPIC", ...modules, `-femit-bin=${object}`], {
    purpose: "compile the functions to compare",
    folder,
    variables: { ZIG_GLOBAL_CACHE_DIR: ZIG_CACHE, ZIG_LOCAL_CACHE_DIR: ZIG_CACHE },
  });
  run(
    [
      String(compiler),
      "-O1",
      "-w",
      "-std=c++17",
      join(sources, "compare.cpp"),
      object,
      "-o",
      program,
    ],
    {
      purpose: "compile the comparison",
      folder,
    },
  );
  return program;
}

test.skipIf(compiler === null)(
  "casts and trees agree with the C++ library",
  () => {
    const { stdout, exitCode } = execute([buildComparison()]);
    expect(stdout).toMatch(/^\d{4,} checked, 0 differing\n$/);
    expect(exitCode).toBe(0);
  },
  BUILD_TIMEOUT_MS,
);
