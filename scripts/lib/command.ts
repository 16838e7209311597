// Runs a program of the host to its end, with a time limit, and says clearly when it failed.

import { UserError } from "../../src/errors.ts";

export interface CommandOptions {
  cwd?: string;
  timeoutMs?: number;
  env?: Record<string, string>;
}

export interface CommandResult {
  code: number;
  stdout: Uint8Array;
  stderr: string;
}

/** Runs `argv`; never throws for an exit code. A time limit (two minutes by default) ends it. */
export async function tryCommand(
  argv: [string, ...string[]],
  options: CommandOptions = {},
): Promise<CommandResult> {
  if (Bun.which(argv[0]) === null) {
    return { code: 127, stdout: new Uint8Array(), stderr: `${argv[0]} is not installed` };
  }
  const child = Bun.spawn(argv, {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeoutMs ?? 120_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** Runs `argv` and gives its standard output; a UserError with its last words when it fails. */
export async function runCommand(
  argv: [string, ...string[]],
  options: CommandOptions = {},
): Promise<Uint8Array> {
  const result = await tryCommand(argv, options);
  if (result.code === 0) return result.stdout;
  const words = result.stderr.trim().split("\n").slice(-3).join(" ");
  throw new UserError(`"${argv.join(" ")}" failed with exit code ${result.code}: ${words}`);
}

/** The same as text. */
export async function runForText(
  argv: [string, ...string[]],
  options: CommandOptions = {},
): Promise<string> {
  return new TextDecoder().decode(await runCommand(argv, options));
}
