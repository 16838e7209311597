// The user's terminal is as it was, however the process ends that had it.

import { expect, test } from "bun:test";
import { join } from "node:path";
import "../support/core_library.ts";
import { PseudoTerminal } from "../support/pseudo_terminal.ts";
import { untilFound } from "../support/until.ts";

const CHILD = join(import.meta.dir, "terminal_child.ts");

const ENDS = [
  ["in order", "SIGUSR2"],
  ["by a forbidden system call", "SIGUSR1"],
  ["by a wild access", "SIGSEGV"],
  ["by a failed assertion", "SIGABRT"],
  ["by an access to a file that was cut off", "SIGBUS"],
] as const;

test.each(ENDS)("a process that ends %s leaves the terminal as it was", async (_, signal) => {
  using terminal = await PseudoTerminal.open();
  const before = await terminal.mode();
  const child = Bun.spawn([process.execPath, CHILD], {
    stdin: terminal.inner,
    stdout: "pipe",
    stderr: "ignore",
  });
  await child.stdout.getReader().read();
  expect(await terminal.mode()).toContain(" -icanon ");
  child.kill(signal);
  await untilFound("the mode from before", async () => {
    const mode = await terminal.mode();
    return mode === before || undefined;
  });
  child.kill("SIGKILL");
  await child.exited;
});
