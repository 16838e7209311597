// Trace events of the control plane. A point that is off costs a look at one variable: nothing is
// loaded and nobody listens until somebody switches trace events on.

import type { TRACE_EVENTS } from "./core/trace_events.gen.ts";

export type TraceEventName = keyof typeof TRACE_EVENTS;

type ArgumentsOf<N extends TraceEventName> = {
  readonly [A in keyof (typeof TRACE_EVENTS)[N]["arguments"]]: string | number;
};

type Listener = (name: TraceEventName, values: Readonly<Record<string, string | number>>) => void;

let listener: Listener | undefined;

/** Tells that something happened. */
export function tracePoint<N extends TraceEventName>(name: N, values: ArgumentsOf<N>): void {
  listener?.(name, values);
}

/** Has every point reach `next`; undefined ends that. */
export function listenToTracePoints(next: Listener | undefined): void {
  listener = next;
}
