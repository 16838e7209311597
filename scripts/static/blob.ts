// Builds the static blob: libc, the C++ functions, the glue and the core, linked for one address.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Architecture, BUN_VERSION } from "./architecture.ts";
import { run } from "./command.ts";
import { SegmentType } from "./elf.ts";
import { assemblyFor, checkRuntime, linkerScriptFor } from "./imports.ts";
import { ROOT, ZIG_CACHE } from "./paths.ts";
import { readElf } from "./runtime_package.ts";
import { hashInputs, makeOnce } from "./stamp.ts";

const ZIG_VERSION = "0.17.1";

const ZIG = ["python3", "-m", "ziglang"];
const VARIABLES = { ZIG_GLOBAL_CACHE_DIR: ZIG_CACHE, ZIG_LOCAL_CACHE_DIR: ZIG_CACHE };

export interface BlobRequest {
  readonly architecture: Architecture;
  /** Bun's musl executable. */
  readonly runtime: string;
  /** The root file of the core, which has `pub const api`. */
  readonly core: string;
  /** The folder for the blob and what it is made from. */
  readonly folder: string;
}

/** The path of the blob, made anew when a Zig file, this build or a version changed. */
export function buildBlob(request: BlobRequest): string {
  const { architecture, core, folder } = request;
  const blob = join(folder, "blob");
  const inputs = hashInputs({
    files: [dirname(core), join(ROOT, "zig/static"), join(ROOT, "scripts/static")],
    texts: [architecture.name, core, BUN_VERSION, architecture.bunSha256, ZIG_VERSION],
  });
  mkdirSync(folder, { recursive: true });
  makeOnce(blob, inputs, join(folder, "blob.stamp"), () => {
    checkZig();
    writeLinkInputs(request);
    compile(request);
    link(request, blob);
  });
  return blob;
}

function checkZig(): void {
  const result = Bun.spawnSync([...ZIG, "version"], { stdout: "pipe", stderr: "pipe" });
  const version = result.stdout.toString().trim();
  if (version === ZIG_VERSION) return;
  const found = result.exitCode === 0 ? `found ${version}` : "found none";
  throw new Error(
    `The build needs Zig ${ZIG_VERSION} (pip install ziglang==${ZIG_VERSION}), ${found}.`,
  );
}

function writeLinkInputs({ architecture, runtime, folder }: BlobRequest): void {
  const bun = readElf(runtime);
  checkRuntime(bun, architecture);
  const { offset, fileSize } = bun.segment(SegmentType.threadLocal);
  const image = join(folder, "thread_local.bin");
  writeFileSync(image, bun.bytes.subarray(offset, offset + fileSize));
  writeFileSync(join(folder, "imports.S"), assemblyFor(bun, architecture, image));
  writeFileSync(join(folder, "link.ld"), linkerScriptFor(bun, architecture));
}

function compile({ architecture, core, folder }: BlobRequest): void {
  const root = join(ROOT, "zig/static/root.zig");
  const module = ["-O", "ReleaseSafe", "-fno-stack-check", "-fstrip"];
  run(
    [
      ...ZIG,
      "build-obj",
      ...["-target", architecture.zigTarget, "-lc"],
      ...["--dep", "core", ...module, `-Mroot=${root}`],
      ...[...module, "-lc", `-Mcore=${core}`],
      `-femit-bin=${join(folder, "core.o")}`,
    ],
    { purpose: `compile the core for ${architecture.name}`, folder, variables: VARIABLES },
  );
}

function link({ architecture, folder }: BlobRequest, blob: string): void {
  run(
    [
      ...ZIG,
      "cc",
      ...["-target", architecture.zigTarget, "-O2", "-static", "-nostartfiles"],
      `-Wl,-T,${join(folder, "link.ld")}`,
      "-Wl,--gc-sections",
      "-Wl,-z,norelro",
      `-Wl,-z,max-page-size=${architecture.pageSize}`,
      ...[join(folder, "imports.S"), join(folder, "core.o")],
      ...["-o", blob],
    ],
    { purpose: `link the core for ${architecture.name}`, folder, variables: VARIABLES },
  );
}
