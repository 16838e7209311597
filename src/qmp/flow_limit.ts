// A leaky bucket: so many requests a second, with a burst of the same size (behaviour 2.1).

export const requestsPerSecond = 100;

export class FlowLimit {
  readonly #now: () => number;
  #level = 0;
  #lastMs: number;

  /** `now` is a clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#lastMs = now();
  }

  /** Whether one more request fits now. */
  admit(): boolean {
    const nowMs = this.#now();
    const leaked = ((nowMs - this.#lastMs) / 1000) * requestsPerSecond;
    this.#lastMs = nowMs;
    this.#level = Math.max(0, this.#level - leaked);
    if (this.#level + 1 > requestsPerSecond) return false;
    this.#level += 1;
    return true;
  }
}
