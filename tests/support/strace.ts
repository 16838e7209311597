// Runs a program under strace, to see its calls on some files or to kill it at one of them.

import { readFileSync } from "node:fs";

export const hasStrace = Bun.which("strace") !== null;
if (!hasStrace) console.log("skipped: tests with strace, which is not installed");

/** One call of a kind among the calls on the files that are watched. */
export interface CallPoint {
  readonly name: string;
  /** From 1 on. */
  readonly count: number;
}

const watch = (paths: readonly string[]) => paths.flatMap((path) => ["-P", path]);

/** Words before a program that record its calls on these files. */
export function recording(output: string, paths: readonly string[]): string[] {
  return ["strace", "-f", "-qq", "-o", output, ...watch(paths)];
}

/** Words before a program that kill it, all threads at once, before that call is done. */
export function killingAt({ name, count }: CallPoint, paths: readonly string[]): string[] {
  const inject = `inject=${name}:signal=SIGKILL:when=${count}`;
  return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject, ...watch(paths)];
}

/** Every call of a recording. */
export function recordedPoints(output: string): CallPoint[] {
  const counts = new Map<string, number>();
  return readFileSync(output, "latin1")
    .split("\n")
    .flatMap((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? [])
    .map((name) => {
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      return { name, count };
    });
}
