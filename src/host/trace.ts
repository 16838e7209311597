// Trace events: which are on, and how they reach the log or the kernel's trace marker. Loaded only
// when somebody asks for events. Names and patterns live here; the core knows numbers.

import { closeSync, writeSync } from "node:fs";
import {
  openTraceRing,
  setTraceEvent,
  setTraceMarker,
  type TraceRecord,
  takeTraceRecords,
} from "../core/trace.ts";
import { TRACE_EVENTS } from "../core/trace_events.gen.ts";
import { messageOf, UserError } from "../errors.ts";
import { listenToTracePoints, type TraceEventName } from "../trace_point.ts";
import type { Log } from "./log.ts";

export interface EventState {
  readonly name: string;
  readonly state: boolean;
}

type Switch = "on" | "off";

type Format = "decimal" | "hex" | "device" | "text";

interface EventDeclaration {
  readonly number: number;
  readonly kind: "event" | "scope";
  readonly arguments: Readonly<Record<string, Format>>;
}

const EVENTS: readonly (readonly [string, EventDeclaration])[] = Object.entries(TRACE_EVENTS);

/** Batches of records between two turns of the event loop. */
const BATCH_COUNT_MAX = 8;

export class Trace {
  readonly #log: Log;
  readonly #on = new Set<string>();
  #markerFd: number | undefined;
  #deviceNames: ReadonlyMap<number, string> = new Map();
  #lostCount = 0;
  #isClosed = false;

  /** Events go to the log, or with an open trace_marker there; it is closed with this. */
  constructor(log: Log, markerFd?: number) {
    this.#log = log;
    this.#markerFd = markerFd;
    if (markerFd === undefined) openTraceRing();
    else setTraceMarker(markerFd);
    listenToTracePoints((name, values) => this.#point(name, values));
  }

  /** Whether each event is on that fits a regular expression; a UserError for a bad one. */
  states(pattern: string): EventState[] {
    const fits = compile(pattern);
    return EVENTS.filter(([name]) => fits.test(name)).map(([name]) => ({
      name,
      state: this.#on.has(name),
    }));
  }

  /** Switches every event that fits; says how many those are. Throws as `states` does. */
  set(pattern: string, state: Switch): number {
    const fits = compile(pattern);
    return this.#switch((name) => fits.test(name), state);
  }

  setKind(kind: "event" | "scope", state: Switch): void {
    this.#switch((_, declared) => declared.kind === kind, state);
  }

  #switch(isWanted: (name: string, declared: EventDeclaration) => boolean, state: Switch): number {
    const wanted = EVENTS.filter(([name, declared]) => isWanted(name, declared));
    for (const [name, { number }] of wanted) {
      if (state === "on") this.#on.add(name);
      else this.#on.delete(name);
      setTraceEvent(number, state);
    }
    return wanted.length;
  }

  /** How the log calls devices that the core numbers. */
  nameDevices(names: ReadonlyMap<number, string>): void {
    this.#deviceNames = names;
  }

  /** Writes what waits to the log; goes on in a later turn of the event loop when it is much. */
  drain(): void {
    for (let batch = 0; batch < BATCH_COUNT_MAX; batch += 1) {
      const { records, lostCount } = takeTraceRecords();
      for (const record of records) this.#write(record);
      if (lostCount > this.#lostCount) {
        this.#log.trace(`${lostCount - this.#lostCount} trace events found no room and are lost`);
        this.#lostCount = lostCount;
      }
      if (records.length === 0) return;
    }
    setImmediate(() => {
      if (!this.#isClosed) this.drain();
    });
  }

  #write({ event, timeNs, threadId, values }: TraceRecord): void {
    const found = EVENTS[event];
    if (found === undefined) return;
    const [name, declared] = found;
    const formats = Object.entries(declared.arguments);
    const words = formats.map(([argument, format], index) => {
      return `${argument}=${this.#text(format, values[index] ?? 0n)}`;
    });
    if (declared.kind === "scope") words.push(`duration_ns=${values[formats.length] ?? 0n}`);
    this.#log.trace([`[${name}]`, ...words].join(" "), { timeNs, threadId });
  }

  #text(format: Format, value: bigint): string {
    switch (format) {
      case "hex":
        return `0x${value.toString(16)}`;
      case "device":
        return this.#deviceNames.get(Number(value)) ?? String(value);
      case "decimal":
      case "text":
        return String(BigInt.asIntN(64, value));
    }
  }

  #point(name: TraceEventName, values: Readonly<Record<string, string | number>>): void {
    if (!this.#on.has(name)) return;
    const words = Object.entries(values).map(([argument, value]) => `${argument}=${value}`);
    const line = [`[${name}]`, ...words].join(" ");
    if (this.#markerFd !== undefined) {
      writeMarker(this.#markerFd, line);
      return;
    }
    // What the core has seen before comes first.
    this.drain();
    this.#log.trace(line);
  }

  /** Switches everything off, after the last lines. */
  close(): void {
    if (this.#isClosed) return;
    listenToTracePoints(undefined);
    this.#switch(() => true, "off");
    if (this.#markerFd === undefined) {
      this.drain();
    } else {
      setTraceMarker(-1);
      closeSync(this.#markerFd);
      this.#markerFd = undefined;
    }
    this.#isClosed = true;
  }
}

function writeMarker(fd: number, line: string): void {
  try {
    writeSync(fd, `${line}\n`);
  } catch {
    // Somebody took the kernel's tracing away: the machine runs on.
  }
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    const fix = "give a regular expression like ^virtio_blk_";
    throw new UserError(`The trace pattern '${pattern}' is bad: ${messageOf(error)}; ${fix}.`);
  }
}
