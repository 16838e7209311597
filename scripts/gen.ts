// bun run gen: writes src/core/abi.gen.ts from zig/abi.zig. With --check it only says whether the
// file is fresh.

import { join } from "node:path";
import { messageOf, UserError } from "../src/errors.ts";
import { runCommand } from "./lib/command.ts";
import { checkout } from "./lib/paths.ts";
import { zigCommand } from "./lib/zig.ts";

const target = join(checkout, "src/core/abi.gen.ts");

/** The text that the ABI asks for, formatted as the file is. */
async function generatedText(): Promise<string> {
  await runCommand([...zigCommand(), "build", "gen"], { cwd: checkout, timeoutMs: 600_000 });
  return Bun.file(join(checkout, "zig-out/gen/abi.gen.ts")).text();
}

/** Throws a UserError when src/core/abi.gen.ts is not what zig/abi.zig says. */
export async function checkGenerated(): Promise<void> {
  const current = await Bun.file(target)
    .text()
    .catch(() => "");
  if (current !== (await generatedText())) {
    throw new UserError("src/core/abi.gen.ts is stale: run `bun run gen` and commit it");
  }
}

async function main(): Promise<void> {
  if (process.argv.includes("--check")) return checkGenerated();
  await Bun.write(target, await generatedText());
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  });
}
