// Builds the probe, a small program with a core of its own, and runs it in an empty root.

import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArchitectureName } from "../../scripts/static/architecture.ts";
import { CACHE } from "../../scripts/static/paths.ts";
import { buildProgram } from "../../scripts/static/program.ts";

/** A cold build compiles libc for the architecture. */
export const BUILD_TIMEOUT_MS = 600_000;

const PROBE = join(import.meta.dir, "probe");

/** The user "nobody", who owns nothing. */
export const NOBODY = 65534;

/** What the probe prints. */
export interface Report {
  readonly sum: number;
  readonly threads: number;
  readonly fill: number;
  readonly lastByte: number;
  readonly refusal: string;
  readonly argv0: string;
  readonly arguments: readonly string[];
  readonly execArgv: readonly string[];
  readonly variables: readonly string[];
  readonly user: number;
  /** /proc/self/maps, or nothing where there is none. */
  readonly maps: string;
}

/** The path of the probe's static executable. */
export function buildProbe(architecture: ArchitectureName): string {
  const output = join(CACHE, architecture, "probe.out/probe");
  buildProgram({
    architecture,
    entry: join(PROBE, "program.ts"),
    core: join(PROBE, "core.zig"),
    sources: [PROBE],
    output,
  });
  return output;
}

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, with exactly the variables given. */
export function execute(
  command: readonly string[],
  options: { folder?: string; variables?: Readonly<Record<string, string>> } = {},
): Outcome {
  const result = Bun.spawnSync([...command], {
    cwd: options.folder ?? "/",
    env: { ...options.variables },
    stdin: "ignore",
  });
  const { stdout, stderr, exitCode } = result;
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** The report that the probe printed; the outcome is in the error when there is none. */
export function reportOf(outcome: Outcome): Report {
  if (outcome.exitCode !== 0) throw new Error(`The probe failed: ${JSON.stringify(outcome)}`);
  return JSON.parse(outcome.stdout);
}

/** A folder that holds the given programs and nothing else; disposing removes it. */
export function emptyRoot(programs: readonly string[]): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "stratovirt-root-"));
  chmodSync(path, 0o711);
  for (const program of programs)
    copyFileSync(program, join(path, program.split("/").at(-1) ?? ""));
  return {
    path,
    [Symbol.dispose]() {
      rmSync(path, { recursive: true });
    },
  };
}

/** The start of a command that runs the rest in `root` as `user`. */
export function chroot(root: string, user: number): readonly string[] {
  return ["/usr/sbin/chroot", `--userspec=${user}:${user}`, root];
}
