// The core's trace events by number: switches, where records go, and the records themselves. They
// belong to the process, not to a machine.

import { Status, TraceRecordLayout, TraceTakenLayout } from "./abi.gen.ts";
import { CoreError, noCause } from "./error.ts";
import { type Library, loadLibrary } from "./library.ts";
import { decode } from "./struct.ts";

export interface TraceRecord {
  /** The event's number. */
  readonly event: number;
  /** Since 1970. */
  readonly timeNs: bigint;
  readonly threadId: number;
  readonly values: readonly bigint[];
}

export interface TraceBatch {
  readonly records: readonly TraceRecord[];
  /** Records so far that found no room. */
  readonly lostCount: number;
}

const BATCH_RECORD_COUNT = 256;

type TraceCall = Extract<keyof Library, `trace_${string}`>;

function check(call: TraceCall, status: number): void {
  if (status !== Status.ok) throw new CoreError(call, status as Status, noCause);
}

/** Switches one event. */
export function setTraceEvent(number: number, state: "on" | "off"): void {
  check("trace_set", loadLibrary().trace_set(number, state === "on" ? 1 : 0));
}

/** Has records kept for `takeTraceRecords`, from now on. */
export function openTraceRing(): void {
  check("trace_open_ring", loadLibrary().trace_open_ring());
}

/** Has lines written to an open trace_marker, which stays the caller's; -1 ends that. */
export function setTraceMarker(fd: number): void {
  check("trace_set_marker", loadLibrary().trace_set_marker(fd));
}

/** The oldest records, fewer than there are if these are many. */
export function takeTraceRecords(): TraceBatch {
  const size = TraceRecordLayout.size;
  const bytes = new Uint8Array(BATCH_RECORD_COUNT * size);
  const out = new Uint8Array(TraceTakenLayout.size);
  check("trace_take", loadLibrary().trace_take(bytes, BATCH_RECORD_COUNT, out));
  const { count, lostCount } = decode(TraceTakenLayout, out);
  const records = Array.from({ length: count }, (_, index) =>
    readRecord(bytes.subarray(index * size, (index + 1) * size)),
  );
  return { records, lostCount };
}

function readRecord(bytes: Uint8Array): TraceRecord {
  const { timeNs, threadId, event, values } = decode(TraceRecordLayout, bytes);
  const view = new DataView(values.buffer, values.byteOffset, values.length);
  return {
    event,
    timeNs,
    threadId,
    values: Array.from({ length: values.length / 8 }, (_, index) =>
      view.getBigUint64(index * 8, true),
    ),
  };
}
