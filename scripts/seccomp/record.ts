// Runs machines under strace with their filters on and tells which rules were used: every rule is
// used or has a reason, and nothing that was needed is missing (a machine would have died of it).
// `bun scripts/seccomp/record.ts [PROGRAM]`; without one, the checkout's own src/main.ts.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, UserError } from "../../src/errors.ts";
import { checkout } from "../lib/paths.ts";
import { type Rule, readProfile, THREAD_KINDS, type ThreadKind, type Variant } from "./profile.ts";
import { type RecordedRun, recordedRuns } from "./runs.ts";
import { covers, type RecordedCall, readTrace, STRACE_OPTIONS } from "./trace.ts";

const RUN_TIMEOUT_MS = 120_000;

export interface RuleUse {
  readonly kind: ThreadKind;
  readonly rule: Rule;
  readonly count: number;
}

/** Runs everything; how often each rule of each profile was used. Throws when a run fails. */
export async function recordUse(program?: string): Promise<RuleUse[]> {
  if (Bun.which("strace") === null) throw new UserError("strace is not installed; it is needed.");
  const folder = mkdtempSync(join(tmpdir(), "seccomp-record-"));
  try {
    const argv =
      program === undefined ? [process.execPath, join(checkout, "src/main.ts")] : [program];
    const calls: RecordedCall[] = [];
    for (const run of await recordedRuns(argv, folder)) calls.push(...(await trace(run, folder)));
    return await count(calls, program === undefined ? "development" : "static");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function trace(run: RecordedRun, folder: string): Promise<RecordedCall[]> {
  const output = join(folder, "trace");
  const traced = Bun.spawn(["strace", ...STRACE_OPTIONS, "-o", output, ...run.argv], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: RUN_TIMEOUT_MS,
    killSignal: "SIGTERM",
  });
  const [, words, code] = await Promise.all([
    run.drive(traced, folder),
    new Response(traced.stderr).text(),
    traced.exited,
  ]);
  if (code !== 0) throw new UserError(`The run "${run.name}" ended with ${code}: ${words.trim()}`);
  return readTrace(await Bun.file(output).text());
}

/** Each rule with the calls that it covered on its own kind of thread. */
async function count(calls: readonly RecordedCall[], variant: Variant): Promise<RuleUse[]> {
  const architecture = process.arch === "x64" ? "x86_64" : "aarch64";
  const uses: RuleUse[] = [];
  for (const kind of THREAD_KINDS) {
    for (const rule of await readProfile({ architecture, kind, variant })) {
      const of = calls.filter((call) => call.kind === kind && covers(rule, call));
      uses.push({ kind, rule, count: of.length });
    }
  }
  return uses;
}

/** Rules that no run used and that do not say why they are there. */
export function unexplained(uses: readonly RuleUse[]): string[] {
  const usedAnywhere = new Set(uses.filter((use) => use.count > 0).map(({ rule }) => textOf(rule)));
  return uses
    .filter(({ rule }) => rule.reason === undefined && !usedAnywhere.has(textOf(rule)))
    .map(({ kind, rule }) => `${kind}: ${textOf(rule)}`);
}

function textOf(rule: Rule): string {
  return `${rule.syscall} ${JSON.stringify(rule.conditions)}`;
}

function report(uses: readonly RuleUse[]): void {
  for (const { kind, rule, count: times } of uses) {
    const use = times > 0 ? `used ${times} times` : `unused: ${rule.reason ?? "NO REASON"}`;
    console.log(`${kind.padEnd(9)} ${rule.syscall.padEnd(16)} ${use}`);
  }
}

if (import.meta.main) {
  try {
    const uses = await recordUse(process.argv[2]);
    report(uses);
    process.exitCode = unexplained(uses).length === 0 ? 0 : 1;
  } catch (error) {
    console.error(messageOf(error));
    process.exitCode = 1;
  }
}
