// Joins a command in the lab to this process: its streams, its terminal, its signals.

import { type LabRunOptions, type LabRunResult, labStart, type TerminalSize } from "./run.ts";

/** Runs `argv` as if it were a program of this terminal; gives its result. */
export async function labRunHere(
  argv: string[],
  options: LabRunOptions & { stdin?: ReadableStream<Uint8Array> },
): Promise<LabRunResult> {
  const command = await labStart(argv, {
    ...options,
    onStdout: (bytes) => pass(process.stdout, bytes, command),
    onStderr: (bytes) => pass(process.stderr, bytes, command),
  });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => command.signal(name));
  }
  const raw = options.terminal !== undefined && process.stdin.isTTY;
  if (raw) {
    process.stdin.setRawMode(true);
    process.on("SIGWINCH", () => command.resize(terminalSize()));
  }
  try {
    return await command.ended;
  } finally {
    if (raw) process.stdin.setRawMode(false);
  }
}

/** The size of this process's terminal, or the usual one when it has none. */
export function terminalSize(): TerminalSize {
  return { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 };
}

function pass(
  stream: NodeJS.WriteStream,
  bytes: Uint8Array,
  command: { pause(): void; resume(): void },
): void {
  // what was received before the pause still comes: one waiter is enough
  if (stream.write(bytes) || stream.listenerCount("drain") > 0) return;
  command.pause();
  stream.once("drain", () => command.resume());
}
