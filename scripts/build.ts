// Builds the static executables: dist/stratovirt and dist/ozone for x86_64, and the same two names
// in dist/aarch64. Each pair is one file under two names: see scripts/static/entry.ts. What is made
// from the declarations goes beside them: QMP's reference, JSON schemas, the manual page.
// Usage: bun run build [--arch x86_64|aarch64]. Steps whose inputs did not change are skipped.

import { linkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf, UserError } from "../src/errors.ts";
import { referenceTopics } from "../src/tools/reference.ts";
import { ARCHITECTURE_NAMES, type ArchitectureName } from "./static/architecture.ts";
import { ROOT } from "./static/paths.ts";
import { buildProgram } from "./static/program.ts";

/** Where the executables of an architecture are written. */
function outputFolder(architecture: ArchitectureName): string {
  return architecture === "x86_64" ? join(ROOT, "dist") : join(ROOT, "dist", architecture);
}

/** Builds both names for one architecture; the path of `stratovirt`. */
export function buildArchitecture(architecture: ArchitectureName): string {
  const output = join(outputFolder(architecture), "stratovirt");
  const started = performance.now();
  const isNew = buildProgram({
    architecture,
    entry: join(ROOT, "scripts/static/entry.ts"),
    core: join(ROOT, "zig/lib.zig"),
    sources: [join(ROOT, "src"), join(ROOT, "package.json")],
    output,
  });
  linkName(output, join(dirname(output), "ozone"));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const size = (statSync(output).size / 1e6).toFixed(1);
  console.log(`${output} ${isNew ? "built" : "is current"} (${size} MB, ${seconds} s)`);
  return output;
}

function writeReferences(): void {
  for (const { file, text } of Object.values(referenceTopics)) {
    writeFileSync(join(ROOT, "dist", file), `${text().trimEnd()}\n`);
  }
}

function linkName(existing: string, name: string): void {
  const linked = statSync(name, { throwIfNoEntry: false });
  if (linked?.ino === statSync(existing).ino) return;
  rmSync(`${name}.new`, { force: true });
  linkSync(existing, `${name}.new`);
  renameSync(`${name}.new`, name);
}

function chosenArchitectures(): readonly ArchitectureName[] {
  const { values } = parseArgs({ options: { arch: { type: "string" } } });
  if (values.arch === undefined) return ARCHITECTURE_NAMES;
  const chosen = ARCHITECTURE_NAMES.filter((name) => name === values.arch);
  if (chosen.length === 1) return chosen;
  throw new UserError(
    `Unknown architecture "${values.arch}": --arch takes ${ARCHITECTURE_NAMES.join(" or ")}.`,
  );
}

if (import.meta.main) {
  try {
    chosenArchitectures().forEach(buildArchitecture);
    writeReferences();
  } catch (error) {
    console.error(`build: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}
