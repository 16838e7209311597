// The log of the control plane: one line format on stderr or in a file (behaviour 1.11), levels
// from STRATOVIRT_LOG_LEVEL, default error as the guidebook promises (chapter 1.9).

import { writeSync } from "node:fs";
import { type ConsolaReporter, createConsola } from "consola/core";
import { LogFile } from "./log_file.ts";

const LEVELS = { error: 0, warn: 1, info: 3, debug: 4, trace: 5 } as const;
type LevelName = keyof typeof LEVELS;

const STDERR = 2;
/** Asked for once: the filter allows no getpid. */
const PID = process.pid;

export interface Log {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
  /** Where the lines go at first. */
  readonly fd: number;
  /** Tells the listener where they go after a turn of the file. */
  onTurn(listener: (fd: number) => void): void;
  close(): void;
}

/** The level asked for; unknown words mean the default. */
export function logLevel(word: string | undefined): LevelName {
  const name = word?.toLowerCase() ?? "error";
  return name in LEVELS ? (name as LevelName) : "error";
}

/** Logs to `path`, or to stderr without one. */
export function openLog(path: string | undefined, level: LevelName): Log {
  const file = path === undefined ? undefined : new LogFile(path);
  const reporter: ConsolaReporter = {
    log: (entry) => {
      const line = `${formatLine(entry.date, entry.type, entry.args.map(String).join(" "))}\n`;
      if (file === undefined) writeSync(STDERR, line);
      else file.write(line, entry.date);
    },
  };
  const consola = createConsola({ level: LEVELS[level], reporters: [reporter] });
  return {
    error: (text) => consola.error(text),
    warn: (text) => consola.warn(text),
    info: (text) => consola.info(text),
    debug: (text) => consola.debug(text),
    fd: file?.fd ?? STDERR,
    onTurn: (listener) => {
      if (file !== undefined) file.onTurn = listener;
    },
    close: () => file?.close(),
  };
}

/** `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn: [pid][tid]:LEVEL: text` in UTC; the clock gives milliseconds. */
function formatLine(date: Date, type: string, text: string): string {
  const time = date.toISOString().replace("Z", "000000");
  return `${time}: [${PID}][${PID}]:${type.toUpperCase()}: ${text}`;
}
