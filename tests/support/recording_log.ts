// A log that keeps its lines, by level.

import type { LineOrigin, Log } from "../../src/host/log.ts";

export class RecordingLog implements Log {
  readonly errors: string[] = [];
  readonly warnings: string[] = [];
  readonly lines: string[] = [];
  readonly traced: string[] = [];
  /** Where each traced line came from; undefined: the main thread, now. */
  readonly origins: (LineOrigin | undefined)[] = [];
  readonly fd = 2;
  readonly showsTrace: boolean;

  constructor(level: "info" | "trace" = "info") {
    this.showsTrace = level === "trace";
  }

  error(text: string): void {
    this.errors.push(text);
  }

  warn(text: string): void {
    this.warnings.push(text);
  }

  info(text: string): void {
    this.lines.push(text);
  }

  debug(): void {}

  trace(text: string, origin?: LineOrigin): void {
    this.traced.push(text);
    this.origins.push(origin);
  }

  onTurn(): void {}
  close(): void {}
}
