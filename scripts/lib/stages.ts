// Stages of a longer job: says what it does, and remembers how long each stage took.

export class Stages {
  readonly #finished: string[] = [];

  /** Counts time that passed before this program started. */
  add(name: string, elapsedMs: number): void {
    this.#finished.push(`${name} ${(elapsedMs / 1000).toFixed(1)} s`);
  }

  async run<Result>(name: string, action: () => Promise<Result>): Promise<Result> {
    process.stderr.write(`${name} ...\n`);
    const startedAt = performance.now();
    const result = await action();
    this.add(name, performance.now() - startedAt);
    return result;
  }

  summary(): string {
    return this.#finished.join(", ");
  }
}
