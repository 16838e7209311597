// What a machine has opened on the host. Everything is given back in the order in which it was
// taken, also when the machine fails half-way: the core, which uses all the rest, comes first.

export interface Resource {
  close(): void;
}

export class Resources {
  #closers: Resource[] = [];
  #undoers: (() => void)[] = [];

  /** Remembers how to give something back; returns it. */
  add<T extends Resource>(resource: T): T {
    this.#closers.push(resource);
    return resource;
  }

  /** Gives one back before the end. */
  release(resource: Resource): void {
    this.#closers = this.#closers.filter((each) => each !== resource);
    resource.close();
  }

  onClose(closer: () => void): void {
    this.#closers.push({ close: closer });
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
    const [closers, undoers] = [this.#closers, this.#undoers];
    this.#closers = [];
    this.#undoers = [];
    for (const closer of closers) closer.close();
    for (const undo of undoers) undo();
  }
}
