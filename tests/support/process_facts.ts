// What the kernel says about a process: descriptors, threads, memory, processor time (proc(5)).

import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;
const USER_TIME_FIELD = 11;

export interface ProcessFacts {
  readonly descriptorCount: number;
  readonly threadCount: number;
  readonly mappingCount: number;
  readonly residentBytes: number;
}

/** Of this process, or of the one with that id. */
export function processFacts(pid: number | "self" = "self"): ProcessFacts {
  const resident = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return {
    descriptorCount: readdirSync(`/proc/${pid}/fd`).length,
    threadCount: readdirSync(`/proc/${pid}/task`).length,
    mappingCount: readFileSync(`/proc/${pid}/maps`, "latin1").split("\n").length,
    residentBytes: Number(resident) * 1024,
  };
}

/** User and system time of a thread of this process so far. */
export function processorTimeMs(threadId: number): number {
  const text = readFileSync(`/proc/self/task/${threadId}/stat`, "latin1");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[USER_TIME_FIELD]) + Number(fields[USER_TIME_FIELD + 1]);
  return (ticks * 1000) / TICKS_PER_SECOND;
}
