// Tells the log what devices met: rules that a guest broke, requests that the host failed. The
// data plane only says that there is news; what is new shows by comparing counters.

import type { Core, DeviceId } from "../core/core.ts";
import { errnoText } from "../core/error.ts";
import type { Log } from "../host/log.ts";

interface Seen {
  readonly faultCount: number;
  readonly errorCount: number;
}

const NOTHING: Seen = { faultCount: 0, errorCount: 0 };

export class DeviceWatch {
  readonly #core: Core;
  readonly #log: Log;
  readonly #devices: ReadonlyMap<string, DeviceId>;
  readonly #seen = new Map<DeviceId, Seen>();

  /** `devices` are the names that the user knows, with their ids in the core; names may change. */
  constructor(core: Core, devices: ReadonlyMap<string, DeviceId>, log: Log) {
    this.#core = core;
    this.#log = log;
    this.#devices = devices;
  }

  /** Logs what happened since the last call, one line a device and kind. */
  report(): void {
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
