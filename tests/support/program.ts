// The program as a child process: `bun src/main.ts` with the arguments of a test, and what it says.

import "./core_library.ts";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { checkout } from "../../scripts/lib/paths.ts";

const MAIN = join(checkout, "src/main.ts");

export interface ProgramEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Program implements AsyncDisposable {
  readonly child: Subprocess<"ignore", "pipe", "pipe">;
  /** Resolves when it has ended by itself or by a signal. */
  readonly end: Promise<ProgramEnd>;

  /** Starts `launcher`, with the program behind it. */
  constructor(argv: readonly string[], launcher: readonly string[] = []) {
    this.child = Bun.spawn([...launcher, process.execPath, MAIN, ...argv], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.end = this.#collect();
  }

  async #collect(): Promise<ProgramEnd> {
    const [stdout, stderr, code] = await Promise.all([
      new Response(this.child.stdout).text(),
      new Response(this.child.stderr).text(),
      this.child.exited,
    ]);
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}
