// Tells the log when a device's back end goes and when it is back. One that stays away is told of
// once, however often it is looked for.

import { whatItDid } from "../backends/back_end.ts";
import { type BackEndCause, BackEndInfoLayout } from "../core/abi.gen.ts";
import type { Core, DeviceId } from "../core/core.ts";
import type { Log } from "../host/log.ts";
import type { Config } from "../options/config.ts";
import { isServedElsewhere } from "../options/vhost_user.ts";

interface Watched {
  readonly name: string;
  readonly id: DeviceId;
  lossCount: number;
  isUp: boolean;
}

export class BackEndWatch {
  readonly #core: Core;
  readonly #log: Log;
  readonly #devices: readonly Watched[];

  /** `ids` are those of all devices in the core, by their names. */
  constructor(core: Core, config: Config, ids: ReadonlyMap<string, DeviceId>, log: Log) {
    this.#core = core;
    this.#log = log;
    this.#devices = config.devices.flatMap((device) => {
      const id = ids.get(device.id);
      const isServed = id !== undefined && isServedElsewhere(device, config);
      return isServed ? [{ name: device.id, id, lossCount: 0, isUp: true }] : [];
    });
  }

  /** Logs what changed since the last call. */
  report(): void {
    for (const device of this.#devices) {
      const now = this.#core.read("device_back_end", device.id, BackEndInfoLayout);
      const isUp = now.isUp !== 0;
      if (now.lossCount > device.lossCount) {
        const what = whatItDid(now.cause as BackEndCause, now.errno);
        this.#log.error(`device '${device.name}': its back end ${what}; looking for it again`);
      }
      if (isUp && (!device.isUp || now.lossCount > device.lossCount)) {
        this.#log.warn(`device '${device.name}': its back end is back`);
      }
      device.lossCount = now.lossCount;
      device.isUp = isUp;
    }
  }
}
