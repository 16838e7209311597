// What a machine has opened on the host. Everything is given back in the order in which it was
// taken, also when the machine fails half-way: the core, which uses all the rest, comes first.

export class Resources {
  #closers: (() => void)[] = [];
  #undoers: (() => void)[] = [];

  /** Remembers how to give something back; returns it. */
  add<T extends { close(): void }>(resource: T): T {
    this.#closers.push(() => resource.close());
    return resource;
  }

  onClose(closer: () => void): void {
    this.#closers.push(closer);
  }

  /** Remembers how to take back what only a machine that starts may leave, such as a new file. */
  onFailure(undoer: () => void): void {
    this.#undoers.push(undoer);
  }

  /** The machine has started: what it made stays. */
  keep(): void {
    this.#undoers = [];
  }

  close(): void {
    const closers = [...this.#closers, ...this.#undoers];
    this.#closers = [];
    this.#undoers = [];
    for (const closer of closers) closer();
  }
}
