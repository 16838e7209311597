// Makes one static executable: bundles the entry into Bun's musl build and binds it to the blob.

import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ARCHITECTURES, type Architecture, type ArchitectureName } from "./architecture.ts";
import { buildBlob } from "./blob.ts";
import { run } from "./command.ts";
import { CACHE, ROOT } from "./paths.ts";
import { relink } from "./relink.ts";
import { fetchRuntime, readElf } from "./runtime_package.ts";
import { hashInputs, makeOnce } from "./stamp.ts";

export interface ProgramRequest {
  readonly architecture: ArchitectureName;
  /** The first TypeScript file. */
  readonly entry: string;
  /** The root file of the core. */
  readonly core: string;
  /** Folders and files that the bundle is made from. */
  readonly sources: readonly string[];
  /** The executable to write. */
  readonly output: string;
}

/** Writes the executable unless it is current; true if it had to be made. */
export function buildProgram(request: ProgramRequest): boolean {
  const architecture = ARCHITECTURES[request.architecture];
  const name = basename(request.output);
  const folder = join(CACHE, request.architecture, name);
  const runtime = fetchRuntime(architecture);
  const blob = buildBlob({ architecture, runtime, core: request.core, folder });
  const inputs = hashInputs({
    files: [blob, ...request.sources, join(ROOT, "scripts/static"), join(ROOT, "bun.lock")],
    texts: [request.entry, architecture.bunSha256],
  });
  return makeOnce(request.output, inputs, join(folder, "program.stamp"), () => {
    const bundle = join(folder, name);
    bundleEntry(request.entry, bundle, runtime, architecture);
    const bytes = relink(readElf(bundle), readElf(blob), architecture);
    rmSync(bundle);
    writeExecutable(request.output, bytes);
  });
}

/** The file name is part of the bundle, so equal inputs give equal bytes in every checkout. */
function bundleEntry(
  entry: string,
  output: string,
  runtime: string,
  architecture: Architecture,
): void {
  run(
    [
      process.execPath,
      ...["build", entry, "--compile", `--target=${architecture.bunTarget}`],
      `--compile-executable-path=${runtime}`,
      ...["--minify", "--bytecode", "--format=esm"],
      ...["--no-compile-autoload-bunfig", "--no-compile-autoload-dotenv"],
      ...["--define", `STRATOVIRT_CORE="builtin:core"`],
      ...["--outfile", output],
    ],
    { purpose: `bundle "${entry}" for ${architecture.name}`, folder: dirname(output) },
  );
}

/** Replaces the file in one step: a running program keeps the old one. */
function writeExecutable(path: string, bytes: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  writeFileSync(temporary, bytes);
  chmodSync(temporary, 0o755);
  renameSync(temporary, path);
}
