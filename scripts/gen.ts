// bun run gen: writes the files of src/core that Zig declares: the ABI and the trace events. With
// --check it only says whether they are fresh.

import { join } from "node:path";
import { messageOf, UserError } from "../src/errors.ts";
import { runCommand } from "./lib/command.ts";
import { checkout } from "./lib/paths.ts";
import { zigCommand } from "./lib/zig.ts";

/** What each file of src/core is made from. */
const SOURCES: Readonly<Record<string, string>> = {
  "abi.gen.ts": "zig/abi.zig",
  "trace_events.gen.ts": "zig/trace/events.zig",
};

function targetOf(name: string): string {
  return join(checkout, "src/core", name);
}

/** The texts that the sources ask for, by file name. */
async function generatedTexts(): Promise<[string, string][]> {
  await runCommand([...zigCommand(), "build", "gen"], { cwd: checkout, timeoutMs: 600_000 });
  const names = Object.keys(SOURCES);
  return Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      return [name, await Bun.file(join(checkout, "zig-out/gen", name)).text()];
    }),
  );
}

/** Throws a UserError when a generated file is not what its source says. */
export async function checkGenerated(): Promise<void> {
  for (const [name, text] of await generatedTexts()) {
    const current = await Bun.file(targetOf(name))
      .text()
      .catch(() => "");
    if (current !== text) {
      throw new UserError(
        `src/core/${name} is not what ${SOURCES[name]} says: run \`bun run gen\` and commit it`,
      );
    }
  }
}

async function main(): Promise<void> {
  if (process.argv.includes("--check")) return checkGenerated();
  for (const [name, text] of await generatedTexts()) await Bun.write(targetOf(name), text);
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  });
}
