// A process that serves a vhost-user device, at a socket of its own: started, killed and started
// again as a test wants.

import { readFileSync, rmSync } from "node:fs";
import type { Subprocess } from "bun";
import { untilFound } from "./until.ts";

/** Of a socket that accepts connections (proc(5), /proc/net/unix). */
const ACCEPTS = "00010000";
/** DPDK takes seconds. */
const START_TIMEOUT_MS = 20_000;

/** Why a program's tests are skipped; undefined when it is there for this user. */
export function whyNo(program: string, user: "any user" | "root"): string | undefined {
  const isThere = Bun.which(program) !== null;
  if (isThere && (user === "any user" || process.getuid?.() === 0)) return undefined;
  const reason = isThere ? `${program} needs root` : `this host has no ${program}`;
  console.log(`skipped: ${reason}`);
  return reason;
}

/** Whether somebody listens at a unix socket. */
function isListening(path: string): boolean {
  return readFileSync("/proc/net/unix", "latin1")
    .split("\n")
    .some((row) => row.endsWith(` ${path}`) && row.split(" ")[3] === ACCEPTS);
}

export class BackEnd implements AsyncDisposable {
  readonly socket: string;
  readonly #argv: readonly string[];
  #child: Subprocess<"ignore", "ignore", "pipe"> | undefined;

  /** `argv` listens at `socket` once it runs. */
  constructor(socket: string, argv: readonly string[]) {
    this.socket = socket;
    this.#argv = argv;
  }

  /** Resolves when it listens; rejects with what it says when it ends instead. */
  async start(): Promise<void> {
    rmSync(this.socket, { force: true });
    const child = Bun.spawn([...this.#argv], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    this.#child = child;
    const look = async () => {
      if (child.exitCode !== null) throw new Error(await new Response(child.stderr).text());
      return isListening(this.socket) || undefined;
    };
    await untilFound(`${this.#argv.join(" ")} to listen`, look, START_TIMEOUT_MS);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
