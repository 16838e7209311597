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

export interface ProgramOptions {
  readonly launcher?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** A module that runs before the program, in its process. */
  readonly preload?: string;
}

export class Program implements AsyncDisposable {
  readonly child: Subprocess<"ignore", "pipe", "pipe">;
  /** Resolves when it has ended by itself or by a signal. */
  readonly end: Promise<ProgramEnd>;

  /** Starts `launcher`, with the program behind it. */
  constructor(argv: readonly string[], options: ProgramOptions = {}) {
    const { launcher = [], environment = {}, preload } = options;
    const runtime = [process.execPath, ...(preload === undefined ? [] : ["--preload", preload])];
    this.child = Bun.spawn([...launcher, ...runtime, MAIN, ...argv], {
      env: { ...process.env, ...environment },
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
