// Tells the log what character devices met: output that the host does not take, clients that the
// guest's start waits for.

import type { Chardev } from "../backends/chardev.ts";
import { ChardevInfoLayout } from "../core/abi.gen.ts";
import type { Core } from "../core/core.ts";
import { errnoText } from "../core/error.ts";
import type { StructValue } from "../core/struct.ts";
import type { Log } from "../host/log.ts";

export class ChardevWatch {
  readonly #core: Core;
  readonly #log: Log;
  readonly #chardevs: readonly Chardev[];
  readonly #failed = new Set<Chardev>();
  readonly #complete = Promise.withResolvers<void>();

  constructor(core: Core, chardevs: Iterable<Chardev>, log: Log) {
    this.#core = core;
    this.#log = log;
    this.#chardevs = [...chardevs];
  }

  /** Logs what is new: of output that fails the first failure, however often it comes. */
  report(): void {
    for (const chardev of this.#chardevs) {
      const { lostByteCount, lastErrno } = this.#info(chardev);
      if (lostByteCount === 0 || this.#failed.has(chardev)) continue;
      this.#failed.add(chardev);
      const cause = errnoText(lastErrno);
      this.#log.error(
        `chardev '${chardev.id}': ${chardev.what} takes no output (${cause}); it is lost`,
      );
    }
    if (this.#awaited().length === 0) this.#complete.resolve();
  }

  /** Writes the guest's last words, and logs how much was lost in all. */
  finish(): void {
    for (const { index } of this.#chardevs) this.#core.call("chardev_finish", index);
    this.report();
    for (const chardev of this.#failed) {
      const { lostByteCount } = this.#info(chardev);
      this.#log.error(`chardev '${chardev.id}': ${lostByteCount} bytes of output were lost`);
    }
  }

  /** Resolves when each socket that the guest's start waits for has had a client. */
  untilComplete(): Promise<void> {
    for (const { id, what } of this.#awaited()) {
      this.#log.warn(`chardev '${id}': the guest starts when a client connects to ${what}`);
    }
    this.report();
    return this.#complete.promise;
  }

  #awaited(): Chardev[] {
    return this.#chardevs.filter(
      (chardev) => chardev.waits === true && this.#info(chardev).clientCount === 0,
    );
  }

  #info(chardev: Chardev): StructValue<typeof ChardevInfoLayout> {
    return this.#core.read("chardev_info", chardev.index, ChardevInfoLayout);
  }
}
