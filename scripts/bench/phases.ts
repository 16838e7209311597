// Where the time of a start goes: system calls that mark the phases, from strace. Tracing makes
// all of it slower; the proportions are what counts.

import { tryCommand } from "../lib/command.ts";
import type { Contender } from "./contender.ts";
import { median, table } from "./figures.ts";
import type { Payload } from "./payload.ts";

const traced = "trace=execve,ioctl,close,openat,read,mmap,exit_group";
const runCount = 5;
const millisecondsPerSecond = 1000;

/** A phase begins where the pattern of the one before was first seen, and ends at its own. */
const phases = [
  { name: "runtime until memory is there", end: /KVM_SET_USER_MEMORY_REGION/ },
  { name: "rest of the machine, kernel", end: /KVM_RUN/ },
  { name: "guest and end of the process", end: /exit_group/ },
] as const;

/** One row a contender; a sentence instead when there is no strace. */
export async function measurePhases(
  contenders: readonly Contender[],
  payload: Payload,
): Promise<string> {
  if (Bun.which("strace") === null) return "phases: not shown, strace is not installed";
  const rows = [["phases (under strace)", ...phases.map(({ name }) => name)]];
  for (const contender of contenders) {
    const runs: number[][] = [];
    for (let run = 0; run < runCount; run += 1) runs.push(await traceOnce(contender, payload));
    const cells = phases.map((_, index) => median(runs.map((run) => run[index] ?? Number.NaN)));
    rows.push([contender.name, ...cells.map((value) => `${value.toFixed(1)} ms`)]);
  }
  return table(rows);
}

async function traceOnce(contender: Contender, payload: Payload): Promise<number[]> {
  const strace = ["strace", "-f", "-ttt", "--seccomp-bpf", "-e", traced] as const;
  const result = await tryCommand([...strace, ...contender.command(payload)]);
  const lines = result.stderr.split("\n").flatMap((line) => {
    const found = /^(?:\[pid +\d+\] )?(\d+\.\d+) (.*)/.exec(line);
    return found === null ? [] : [{ atMs: Number(found[1]) * millisecondsPerSecond, text: line }];
  });
  let beganMs = lines[0]?.atMs ?? Number.NaN;
  return phases.map(({ end }) => {
    const endedMs = lines.find(({ text }) => end.test(text))?.atMs ?? Number.NaN;
    const elapsedMs = endedMs - beganMs;
    beganMs = endedMs;
    return elapsedMs;
  });
}
