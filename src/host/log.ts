// The log of the control plane: one line format on stderr or in a file (behaviour 1.11), levels
// from STRATOVIRT_LOG_LEVEL, default error as the guidebook promises (chapter 1.9).

import { type ConsolaReporter, createConsola } from "consola/core";
import { LogFile } from "./log_file.ts";
import { LossyLines } from "./lossy_lines.ts";
import { STANDARD_ERROR, StandardError } from "./standard_error.ts";

const LEVELS = { error: 0, warn: 1, info: 3, debug: 4, trace: 5 } as const;
type LevelName = keyof typeof LEVELS;

/** Asked for once: the filter allows no getpid. */
const PID = process.pid;

export interface Log {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
  /** Whether lines of level trace are written. */
  readonly showsTrace: boolean;
  /** A line of level trace, by default of now and of the main thread. */
  trace(text: string, origin?: LineOrigin): void;
  /** Where the lines go at first. */
  readonly fd: number;
  /** Tells the listener where they go after a turn of the file. */
  onTurn(listener: (fd: number) => void): void;
  close(): void;
}

/** When and on which thread something happened that the log tells. */
export interface LineOrigin {
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
  readonly threadId: number;
}

const NS_PER_MS = 1_000_000n;

/** The level asked for; unknown words mean the default. */
export function logLevel(word: string | undefined): LevelName {
  const name = word?.toLowerCase() ?? "error";
  return name in LEVELS ? (name as LevelName) : "error";
}

/** Logs to `path`, or to stderr without one. */
export function openLog(path: string | undefined, level: LevelName): Log {
  const file = path === undefined ? undefined : new LogFile(path);
  const place = file ?? new StandardError();
  const lines = new LossyLines(place, (count) => {
    const text = `${count} lines are missing before this one: the log did not take them`;
    return formatLine(originOf(new Date()), "error", text);
  });
  const reporter: ConsolaReporter = {
    log: ({ date, type, args }) => {
      lines.write(formatLine(originOf(date), type, args.map(String).join(" ")), date);
    },
  };
  const consola = createConsola({ level: LEVELS[level], reporters: [reporter] });
  return {
    error: (text) => consola.error(text),
    warn: (text) => consola.warn(text),
    info: (text) => consola.info(text),
    debug: (text) => consola.debug(text),
    showsTrace: level === "trace",
    trace: (text, origin = originOf(new Date())) => {
      if (level !== "trace") return;
      lines.write(formatLine(origin, "trace", text), new Date(Number(origin.timeNs / NS_PER_MS)));
    },
    fd: file?.fd ?? STANDARD_ERROR,
    onTurn: (listener) => {
      if (file !== undefined) file.onTurn = listener;
    },
    close: () => {
      lines.finish(new Date());
      place.close();
    },
  };
}

function originOf(date: Date): LineOrigin {
  return { timeNs: BigInt(date.getTime()) * NS_PER_MS, threadId: PID };
}

/** `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn: [pid][tid]:LEVEL: text` in UTC. */
function formatLine({ timeNs, threadId }: LineOrigin, type: string, text: string): string {
  const time = new Date(Number(timeNs / NS_PER_MS)).toISOString().replace("Z", "");
  const rest = String(timeNs % NS_PER_MS).padStart(6, "0");
  return `${time}${rest}: [${PID}][${threadId}]:${type.toUpperCase()}: ${text}\n`;
}
