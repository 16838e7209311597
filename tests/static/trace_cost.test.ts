// What a trace event costs that is off, in the machine code of a release: a load of one byte, a
// test and a branch.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { tryCommand } from "../../scripts/lib/command.ts";
import { checkout } from "../../scripts/lib/paths.ts";
import { zigCommand } from "../../scripts/lib/zig.ts";
import { TRACE_EVENTS } from "../../src/core/trace_events.gen.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { BUILD_TIMEOUT_MS } from "./probe.ts";

/** The compiler puts instructions of the neighbourhood between the load and its branch. */
const WINDOW = 24;
/** A load of an event's switch. */
const LOOK = /movzbl .*<trace\.trace\.switches[>+]/;
const hasDisassembler = process.arch === "x64" && Bun.which("objdump") !== null;
if (!hasDisassembler) console.log("skipped: the cost of trace events (no objdump for x86_64)");

/** Instructions of a release of the core, in order. */
async function instructions(folder: TemporaryFolder): Promise<string[]> {
  const prefix = folder.file("release");
  const build = [...zigCommand(), "build", "--release=safe", "--prefix", prefix] as const;
  const limits = { cwd: checkout, timeoutMs: BUILD_TIMEOUT_MS };
  expect((await tryCommand([...build] as [string, ...string[]], limits)).code).toBe(0);
  const library = join(prefix, "lib/libstratovirt_core.so");
  const command = ["objdump", "-d", "--no-show-raw-insn", library] as const;
  const { stdout } = await tryCommand([...command], limits);
  return new TextDecoder().decode(stdout).split("\n");
}

test.skipIf(!hasDisassembler)(
  "an event that is off is one load, one test and one branch",
  async () => {
    using folder = new TemporaryFolder();
    const lines = await instructions(folder);
    const looks = [...lines.keys()].filter((at) => LOOK.test(lines[at] ?? ""));
    // Events of the data plane; the loads of one event may have been put together.
    const own = Object.values(TRACE_EVENTS).filter(
      ({ arguments: given }) => !Object.values(given).some((format) => format === "text"),
    );
    const bytes = new Set(looks.map((at) => /switches(\+0x[0-9a-f]+)?/.exec(lines[at] ?? "")?.[0]));
    expect(bytes.size).toBe(own.length);
    for (const at of looks) {
      const next = lines.slice(at + 1, at + WINDOW).map((line) => line.split("\t")[1] ?? "");
      const looked = next.findIndex((line) => /^test +\$0x1,%\w+$/.test(line));
      const branch = next.findIndex((line, index) => index > looked && /^j(e|ne) /.test(line));
      const between = next.slice(0, branch).filter((line) => /^(call|lock|j|test)/.test(line));
      expect([lines[at], ...between]).toEqual([lines[at], next[looked]]);
    }
  },
  BUILD_TIMEOUT_MS,
);
