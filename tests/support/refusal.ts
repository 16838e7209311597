// The program with something wrong: what it said and what it left behind.

import { readdirSync } from "node:fs";
import { Program } from "./program.ts";
import type { TemporaryFolder } from "./temporary_folder.ts";

export interface Refusal {
  readonly code: number;
  readonly stdout: string;
  /** Lines of standard error. */
  readonly lines: readonly string[];
  /** Files in the test's folder that were not there before. */
  readonly leftBehind: readonly string[];
}

/** Runs the program behind `launcher` in the hope that it refuses to start. */
export async function refusalOf(
  folder: TemporaryFolder,
  argv: readonly string[],
  launcher: readonly string[] = [],
): Promise<Refusal> {
  const before = new Set(readdirSync(folder.path));
  await using program = new Program(argv, { launcher });
  const { code, stdout, stderr } = await program.end;
  return {
    code,
    stdout,
    lines: stderr.trimEnd().split("\n"),
    leftBehind: readdirSync(folder.path).filter((name) => !before.has(name)),
  };
}
