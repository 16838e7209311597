// Tells the log what devices met: rules that a guest broke, requests that the host failed. The
// data plane only says that there is news; what is new shows by comparing counters.

import type { Core, DeviceId } from "../core/core.ts";
import { errnoText } from "../core/error.ts";
import type { Log } from "../host/log.ts";

interface Seen {
  readonly faultCount: number;
  readonly errorCount: number;
}

/** A guest that breaks rules all the time costs the log a line a device in it. */
const INTERVAL_MS = 1000;
const NOTHING: Seen = { faultCount: 0, errorCount: 0 };

export class DeviceWatch {
  readonly #core: Core;
  readonly #log: Log;
  readonly #devices: ReadonlyMap<string, DeviceId>;
  readonly #seen = new Map<DeviceId, Seen>();
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #due: NodeJS.Timeout | undefined;

  /** `devices` are the names that the user knows, with their ids in the core; names may change. */
  constructor(core: Core, devices: ReadonlyMap<string, DeviceId>, log: Log) {
    this.#core = core;
    this.#log = log;
    this.#devices = devices;
  }

  /** Devices have met something: logs it now, or when the last lines are a second old. */
  onNews(): void {
    if (this.#due !== undefined) return;
    const wait = this.#reportedAtMs + INTERVAL_MS - performance.now();
    if (wait <= 0) this.#report();
    else this.#due = setTimeout(() => this.#report(), wait);
  }

  /** Logs what is left, while the core is there still. */
  finish(): void {
    if (this.#due !== undefined) this.#report();
  }

  /** One line a device and kind. */
  #report(): void {
    clearTimeout(this.#due);
    this.#due = undefined;
    this.#reportedAtMs = performance.now();
    for (const [name, id] of this.#devices) {
      const info = this.#core.deviceInfo(id);
      const seen = this.#seen.get(id) ?? NOTHING;
      if (info.faultCount > seen.faultCount) {
        const fault = new TextDecoder().decode(info.fault).replace(/\0+$/, "");
        this.#log.warn(`device '${name}': its guest broke a rule (${fault}); it must reset it`);
      }
      if (info.errorCount > seen.errorCount) {
        const count = info.errorCount - seen.errorCount;
        const cause = errnoText(info.lastErrno);
        this.#log.error(`device '${name}': ${count} requests failed, the last with ${cause}`);
      }
      this.#seen.set(id, { faultCount: info.faultCount, errorCount: info.errorCount });
    }
  }
}
