// Descriptors on their way from a socket to the command that takes one. Whatever nobody takes is
// closed when the last request that could is done.

import { closeSync } from "node:fs";

export class Handover {
  #descriptors: readonly number[];
  #holderCount = 0;

  constructor(descriptors: readonly number[]) {
    this.#descriptors = descriptors;
  }

  /** One more may take. */
  hold(): void {
    this.#holderCount += 1;
  }

  /** One that held is done. */
  release(): void {
    this.#holderCount -= 1;
    if (this.#holderCount === 0) this.#closeAll();
  }

  /** Of several the last, as upstream (behaviour 2.1); the others are closed. Undefined: taken. */
  take(): number | undefined {
    const taken = this.#descriptors.at(-1);
    this.#descriptors = this.#descriptors.slice(0, -1);
    this.#closeAll();
    return taken;
  }

  #closeAll(): void {
    for (const fd of this.#descriptors) closeSync(fd);
    this.#descriptors = [];
  }
}
