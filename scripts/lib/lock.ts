// A lock between processes. util-linux's flock holds it for us, and lets go when this process
// ends in any way.

import { UserError } from "../../src/errors.ts";

/**
 * Runs `action` while no other process holds the lock on `path`; waits at most `timeoutMs` for
 * it.
 */
export async function withLock<Result>(
  path: string,
  timeoutMs: number,
  action: () => Promise<Result>,
): Promise<Result> {
  const seconds = String(Math.ceil(timeoutMs / 1000));
  const holder = Bun.spawn(["flock", "-w", seconds, path, "sh", "-c", "echo; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const first = await holder.stdout.getReader().read();
  if (first.done) {
    throw new UserError(`${path} is locked by another process for more than ${seconds} s`);
  }
  try {
    return await action();
  } finally {
    await holder.stdin.end();
    await holder.exited;
  }
}
