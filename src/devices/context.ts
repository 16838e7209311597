// What a device may use while it is made.

import type { Chardev } from "../backends/chardev.ts";
import type { Core, NewDevice } from "../core/core.ts";
import type { CoreError } from "../core/error.ts";
import type { Config } from "../options/config.ts";

/** Which slots of a board a device may take. */
export type DeviceClass = "block" | "network" | "other";

/** A device as the core makes it, but for its place. */
export interface OpenedDevice extends NewDevice {
  /** Says in a sentence why the core could not make it. */
  readonly explain?: (error: CoreError) => Error;
}

export interface DeviceContext {
  readonly core: Core;
  readonly config: Config;
  readonly chardevs: ReadonlyMap<string, Chardev>;
  /** Iothread ids with their numbers in the core; 0 serves who names none. */
  readonly iothreads: ReadonlyMap<string, number>;
  /** Keeps what a device opened until the machine ends, after the core. */
  keep<T extends { close(): void }>(resource: T): T;
}
