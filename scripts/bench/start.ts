// exec to the first guest instruction to exit: wall and CPU time of a payload that ends its
// machine with its first instruction, in alternating runs.

import { UserError } from "../../src/errors.ts";
import type { Contender } from "./contender.ts";
import { median, ratio, table } from "./figures.ts";
import type { Payload } from "./payload.ts";

export interface Run {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const runTimeoutMs = 20_000;
const microsecondsPerMs = 1000;

/** Measures all contenders in turns, `count` times after one turn that warms the caches. */
export async function measureStart(
  contenders: readonly Contender[],
  payload: Payload,
  count: number,
): Promise<string> {
  const runs = new Map<string, Run[]>(contenders.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= count; turn += 1) {
    for (const contender of contenders) {
      const run = await runOnce(contender.command(payload));
      if (turn > 0) runs.get(contender.name)?.push(run);
    }
  }
  return report(runs);
}

/** Runs a program to its end, which must be a good one. */
export async function runOnce(command: [string, ...string[]]): Promise<Run> {
  const startedAt = performance.now();
  const child = Bun.spawn(command, {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: runTimeoutMs,
    killSignal: "SIGKILL",
  });
  const code = await child.exited;
  const wallMs = performance.now() - startedAt;
  if (code !== 0) {
    const words = (await new Response(child.stderr).text()).trim();
    throw new UserError(`"${command.join(" ")}" ended with ${code}: ${words}`);
  }
  const total = child.resourceUsage()?.cpuTime.total ?? 0n;
  return { wallMs, cpuMs: Number(total) / microsecondsPerMs };
}

function report(runs: ReadonlyMap<string, readonly Run[]>): string {
  const medians = [...runs].map(([name, each]) => ({
    name,
    wallMs: median(each.map((run) => run.wallMs)),
    cpuMs: median(each.map((run) => run.cpuMs)),
    fastestMs: Math.min(...each.map((run) => run.wallMs)),
  }));
  const [own, ...peers] = medians;
  if (own === undefined) return "";
  const rows = medians.map(({ name, wallMs, cpuMs, fastestMs }) => [
    name,
    `${wallMs.toFixed(1)} ms`,
    `${cpuMs.toFixed(1)} ms`,
    `${fastestMs.toFixed(1)} ms`,
  ]);
  const lines = [table([["", "wall (median)", "CPU (median)", "wall (least)"], ...rows])];
  for (const other of peers) {
    lines.push(
      `${own.name} / ${other.name}: wall ${ratio(own.wallMs, other.wallMs, "0.6, then 0.4")}, ` +
        `CPU ${ratio(own.cpuMs, other.cpuMs, "0.4")}`,
    );
  }
  return lines.join("\n");
}
