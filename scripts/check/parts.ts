// What `bun run check` looks at. Each part throws when something is wrong, and says what to do
// about it.

import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { checkGenerated } from "../gen.ts";
import { tryCommand } from "../lib/command.ts";
import { checkout } from "../lib/paths.ts";
import { zigCommand } from "../lib/zig.ts";
import { checkSeccomp, seccompTable } from "../seccomp/compile.ts";

export interface Part {
  readonly name: string;
  /** Resolves to a line, or several, on what was found to be right. */
  readonly run: () => Promise<string>;
}

const packages = join(checkout, "node_modules");

/** Runs a tool in the checkout; its words become the error when it fails. */
async function runTool(argv: [string, ...string[]], remedy: string): Promise<void> {
  const environment = { NO_COLOR: "1" };
  const result = await tryCommand(argv, { cwd: checkout, env: environment, timeoutMs: 300_000 });
  if (result.code === 0) return;
  const words = `${new TextDecoder().decode(result.stdout)}${result.stderr}`.trim();
  throw new UserError(`${words}\n${remedy}`);
}

async function checkTypes(): Promise<string> {
  const compiler = join(packages, "typescript/bin/tsc");
  await runTool([process.execPath, compiler, "--noEmit"], "mend the types");
  return "no errors";
}

async function checkLint(): Promise<string> {
  const biome = join(packages, "@biomejs/biome/bin/biome");
  const argv: [string, ...string[]] = [process.execPath, biome, "check", "--error-on-warnings"];
  await runTool(argv, "`bunx biome check --write` mends what can be mended by itself");
  return "no errors, formatted";
}

async function checkZigFormat(): Promise<string> {
  const folders = ["build.zig", "zig", "scripts", "tests"];
  const remedy = "these files are not formatted: `python3 -m ziglang fmt FILE` does it";
  await runTool([...zigCommand(), "fmt", "--check", ...folders], remedy);
  return "formatted";
}

export const parts: readonly Part[] = [
  { name: "abi", run: () => checkGenerated().then(() => "src/core/abi.gen.ts is fresh") },
  { name: "types", run: checkTypes },
  { name: "lint", run: checkLint },
  { name: "zig format", run: checkZigFormat },
  {
    name: "seccomp",
    run: async () => {
      await checkSeccomp();
      return `src/host/seccomp.gen.ts is fresh\n${await seccompTable()}`;
    },
  },
];
