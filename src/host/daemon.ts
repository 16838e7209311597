// -daemonize and -pidfile. The fork happens before the runtime starts (zig/static/daemon.zig); here
// the machine tells the process that waits that it is up, or why it is not.

import { closeSync, openSync, writeSync } from "node:fs";
import { isStaticProgram } from "../core/library.ts";
import { reportToStarter } from "../core/static_program.ts";
import { errorCode, UserError } from "../errors.ts";
import { removeOwnFile } from "../files.ts";
import type { ProcessConfig } from "../options/config.ts";

const PIDFILE_MODE = 0o600;

/** Fails in a program that cannot become a daemon, before anything is made. */
export function checkDaemon(config: ProcessConfig): void {
  if (config.daemonize && !isStaticProgram()) {
    throw new UserError(
      "-daemonize needs the built executable: run dist/stratovirt, not the sources.",
    );
  }
}

/** Tells the waiting process that the machine is up. */
export function reportReady(config: ProcessConfig): void {
  if (config.daemonize) reportToStarter("");
}

/** Tells the waiting process what went wrong; false when nobody waits. */
export function reportFailure(sentence: string): boolean {
  return reportToStarter(`${sentence}\n`);
}

/** Writes the process id to a new file; the result removes it. */
export function writePidfile(path: string): { close(): void } {
  let fd: number;
  try {
    fd = openSync(path, "wx", PIDFILE_MODE);
  } catch (error) {
    const code = errorCode(error);
    const reason =
      code === "EEXIST"
        ? "exists; another machine may use it: remove it or choose another path."
        : `cannot be written (${code}); check the path.`;
    throw new UserError(`The pid file '${path}' (-pidfile) ${reason}`);
  }
  writeSync(fd, String(process.pid));
  closeSync(fd);
  return { close: () => removeOwnFile(path) };
}
