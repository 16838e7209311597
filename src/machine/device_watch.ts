// Tells the log what devices met: rules that a guest broke, requests that the host failed. The
// data plane only says that there is news; what is new shows by comparing counters.

import type { Core, DeviceId } from "../core/core.ts";
import { errnoText } from "../core/error.ts";
import type { Log } from "../host/log.ts";

interface Seen {
  faultCount: number;
  errorCount: number;
}

export class DeviceWatch {
  readonly #core: Core;
  readonly #log: Log;
  readonly #devices: readonly { readonly name: string; readonly id: DeviceId; seen: Seen }[];

  /** `devices` are the names that the user knows, with their ids in the core. */
  constructor(core: Core, devices: ReadonlyMap<string, DeviceId>, log: Log) {
    this.#core = core;
    this.#log = log;
    this.#devices = [...devices].map(([name, id]) => ({
      name,
      id,
      seen: { faultCount: 0, errorCount: 0 },
    }));
  }

  /** Logs what happened since the last call, one line a device and kind. */
  report(): void {
    for (const device of this.#devices) {
      const info = this.#core.deviceInfo(device.id);
      if (info.faultCount > device.seen.faultCount) {
        const fault = new TextDecoder().decode(info.fault).replace(/\0+$/, "");
        this.#log.warn(
          `device '${device.name}': its guest broke a rule (${fault}); it must reset it`,
        );
      }
      if (info.errorCount > device.seen.errorCount) {
        const count = info.errorCount - device.seen.errorCount;
        const cause = errnoText(info.lastErrno);
        this.#log.error(
          `device '${device.name}': ${count} requests failed, the last with ${cause}`,
        );
      }
      device.seen = { faultCount: info.faultCount, errorCount: info.errorCount };
    }
  }
}
