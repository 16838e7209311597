// Reads what strace saw of a confined process: which calls each kind of thread made after the
// filters were in, with the low 32 bits of their arguments.

import type { Condition, Rule, ThreadKind } from "./profile.ts";

export interface RecordedCall {
  readonly kind: ThreadKind;
  readonly name: string;
  readonly arguments: readonly number[];
}

/** Options of strace that `readTrace` needs: all threads by name, all arguments as numbers. */
export const STRACE_OPTIONS = ["-f", "-Y", "-qq", "-e", "raw=all", "-e", "signal=none"] as const;

const LINE = /^\d+<(.*?)> ([a-z0-9_]+)\(([^)]*)/;

/** Calls after the process's filter was installed; what ran before is of no interest. */
export function readTrace(text: string): RecordedCall[] {
  const lines = text.split("\n");
  const installed = lines.findIndex((line) => /> seccomp\(0x1, 0x1,/.test(line));
  if (installed < 0) return [];
  return lines.slice(installed + 1).flatMap((line) => {
    const [, thread, name, words] = LINE.exec(line) ?? [];
    if (thread === undefined || name === undefined || words === undefined) return [];
    return [{ kind: kindOf(thread, name), name, arguments: argumentsOf(words) }];
  });
}

/** A thread's first call is the installation itself, which the process's filter allows. */
function kindOf(thread: string, name: string): ThreadKind {
  if (name === "seccomp") return "main";
  if (/^vcpu \d+$/.test(thread)) return "vcpu";
  return /^io(thread)?\d*$/.test(thread) ? "iothread" : "main";
}

function argumentsOf(words: string): number[] {
  const numbers = words.split(",").map((word) => word.trim().match(/^(0x[0-9a-f]+|\d+)/)?.[0]);
  return numbers.map((word) => Number(BigInt(word ?? "0") & 0xffff_ffffn));
}

/** Whether the rule is about this call with these arguments. */
export function covers(rule: Rule, call: RecordedCall): boolean {
  if (rule.syscall !== call.name) return false;
  return rule.conditions.every((condition) =>
    accepts(condition, call.arguments[condition.index] ?? 0),
  );
}

function accepts(condition: Condition, given: number): boolean {
  switch (condition.op) {
    case "masked_eq":
      return (given & condition.mask) >>> 0 === condition.value;
    case "one_of":
      return condition.values.includes(given);
  }
}
