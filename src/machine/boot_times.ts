// How long the start took, step by step: from exec to the marks that the guest writes to the debug
// port (guidebook chapter 8). One clock for all, the host's monotonic one.

import type { BootTimes } from "../qmp/machine_control.ts";

/** When the runtime has loaded this program, in its own milliseconds. */
const runtimeReadyMs = performance.now();

/** Nanoseconds in a millisecond of the runtime's clock. */
const nsPerMs = 1e6;
const nsPerUs = 1e3;

export interface GuestMarks {
  readonly kernelEnteredNs: number;
  readonly bootCompleteNs: number;
}

export class BootClock {
  readonly #askStartedNs: () => number | undefined;
  readonly #offsetNs: number;
  readonly #builtMs = performance.now();
  #guestStartedMs: number | undefined;

  /**
   * Made when the machine is built. `nowNs` is the monotonic clock now; `askStartedNs` tells its
   * value when the process was started, where that is known. It is asked when there is a report.
   */
  constructor(nowNs: number, askStartedNs: () => number | undefined) {
    this.#askStartedNs = askStartedNs;
    this.#offsetNs = nowNs - performance.now() * nsPerMs;
  }

  /** The vCPUs are let go for the first time. */
  guestStarts(): void {
    this.#guestStartedMs ??= performance.now();
  }

  /** The steps so far; `marks` has 0 for what the guest did not write. */
  times(marks: GuestMarks): BootTimes {
    const startedNs = this.#askStartedNs();
    const originNs = startedNs ?? this.#offsetNs;
    const since = (ns: number): number => Math.max(0, Math.round((ns - originNs) / nsPerUs));
    const own = (ms: number): number => since(this.#offsetNs + ms * nsPerMs);
    return {
      origin: startedNs === undefined ? "runtime" : "exec",
      steps: {
        "runtime-ready": own(runtimeReadyMs),
        "machine-built": own(this.#builtMs),
        ...(this.#guestStartedMs === undefined
          ? {}
          : { "guest-started": own(this.#guestStartedMs) }),
        ...(marks.kernelEnteredNs === 0 ? {} : { "kernel-entered": since(marks.kernelEnteredNs) }),
        ...(marks.bootCompleteNs === 0 ? {} : { "boot-complete": since(marks.bootCompleteNs) }),
      },
    };
  }
}

/** "runtime-ready 9.4 ms, …, kernel-entered 31.0 ms after exec" for the log. */
export function describeBootTimes({ origin, steps }: BootTimes): string {
  const parts = Object.entries(steps).map(([step, us]) => `${step} ${(us / 1e3).toFixed(1)} ms`);
  const since = origin === "exec" ? "after exec" : "after the runtime's start";
  return `boot times: ${parts.join(", ")} ${since}`;
}
