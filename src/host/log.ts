// The log of the control plane: one line format on stderr or in a file (behaviour 1.11), levels
// from STRATOVIRT_LOG_LEVEL, default error as the guidebook promises (chapter 1.9).

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { type ConsolaReporter, createConsola } from "consola/core";
import { UserError } from "../errors.ts";

const LEVELS = { error: 0, warn: 1, info: 3, debug: 4, trace: 5 } as const;
type LevelName = keyof typeof LEVELS;

const STDERR = 2;
const LOG_MODE = 0o640;

export interface Log {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
  /** Where the lines go. */
  readonly fd: number;
  close(): void;
}

/** The level asked for; unknown words mean the default. */
export function logLevel(word: string | undefined): LevelName {
  const name = word?.toLowerCase() ?? "error";
  return name in LEVELS ? (name as LevelName) : "error";
}

/** Logs to `path`, or to stderr without one. */
export function openLog(path: string | undefined, level: LevelName): Log {
  const fd = path === undefined ? STDERR : openLogFile(path);
  const reporter: ConsolaReporter = {
    log: (entry) => {
      const text = entry.args.map(String).join(" ");
      writeSync(fd, `${formatLine(entry.date, entry.type, text)}\n`);
    },
  };
  const consola = createConsola({ level: LEVELS[level], reporters: [reporter] });
  return {
    fd,
    error: (text) => consola.error(text),
    warn: (text) => consola.warn(text),
    info: (text) => consola.info(text),
    debug: (text) => consola.debug(text),
    close: () => {
      if (fd !== STDERR) closeSync(fd);
    },
  };
}

function openLogFile(path: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
  try {
    return openSync(path, flags, LOG_MODE);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : error;
    throw new UserError(`The log file '${path}' (-D) cannot be opened (${code}); check the path.`);
  }
}

/** `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn: [pid][tid]:LEVEL: text`, in the host's time zone-free UTC. */
export function formatLine(date: Date, type: string, text: string): string {
  const time = date.toISOString().replace("Z", "000000");
  return `${time}: [${process.pid}][${process.pid}]:${type.toUpperCase()}: ${text}`;
}
