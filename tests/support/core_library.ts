// Builds the core library when it is older than its sources, once for each test run. Importing this
// file is enough.

import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../scripts/lib/command.ts";
import { checkout } from "../../scripts/lib/paths.ts";
import { zigCommand } from "../../scripts/lib/zig.ts";

const LIBRARY = join(checkout, "zig-out/lib/libstratovirt_core.so");
/** When the library was last looked at: Zig keeps its own time when nothing changed in it. */
const STAMP = join(checkout, "zig-out/lib/tests.stamp");
const BUILD_TIMEOUT_MS = 300_000;

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function newestSource(): number {
  const sources = [...new Bun.Glob("zig/**/*.zig").scanSync(checkout), "build.zig"];
  return Math.max(...sources.map((source) => modifiedAt(join(checkout, source))));
}

async function buildIfStale(): Promise<void> {
  if (existsSync(LIBRARY) && modifiedAt(STAMP) > newestSource()) return;
  await runCommand([...zigCommand(), "build"], { cwd: checkout, timeoutMs: BUILD_TIMEOUT_MS });
  writeFileSync(STAMP, "");
}

await buildIfStale();
