// What a machine has opened on the host. Everything is given back in the order in which it was
// taken, also when the machine fails half-way: the core, which uses all the rest, comes first.

export class Resources {
  #closers: (() => void)[] = [];

  /** Remembers how to give something back; returns it. */
  add<T extends { close(): void }>(resource: T): T {
    this.#closers.push(() => resource.close());
    return resource;
  }

  onClose(closer: () => void): void {
    this.#closers.push(closer);
  }

  close(): void {
    const closers = this.#closers;
    this.#closers = [];
    for (const closer of closers) closer();
  }
}
