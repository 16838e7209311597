// Descriptors that a client has sent and named (getfd), until a netdev takes them. They are the
// machine's: the client may go and another one use them (behaviour 2.2).

import { closeSync } from "node:fs";
import { didYouMean } from "../options/suggest.ts";
import { QmpError } from "./protocol.ts";

export const maxNamedDescriptors = 64;

export class NamedDescriptors {
  readonly #descriptors = new Map<string, number>();

  /** Takes over a descriptor; one that had the name is closed. */
  add(name: string, fd: number): void {
    const before = this.#descriptors.get(name);
    if (before === undefined && this.#descriptors.size === maxNamedDescriptors) {
      closeSync(fd);
      throw new QmpError(
        "GenericError",
        `There are ${maxNamedDescriptors} named descriptors already; closefd frees one.`,
      );
    }
    this.#descriptors.set(name, fd);
    if (before !== undefined) closeSync(before);
  }

  get(name: string): number | undefined {
    return this.#descriptors.get(name);
  }

  /** Gives a descriptor away: the caller closes it. */
  release(name: string): void {
    this.#descriptors.delete(name);
  }

  /** Closes one. Throws a QmpError when the name is unknown. */
  close(name: string): void {
    const fd = this.#descriptors.get(name);
    if (fd === undefined) {
      const hint = didYouMean(name, [...this.#descriptors.keys()], "getfd makes one.");
      throw new QmpError("GenericError", `There is no descriptor '${name}'.${hint}`);
    }
    this.#descriptors.delete(name);
    closeSync(fd);
  }

  closeAll(): void {
    for (const fd of this.#descriptors.values()) closeSync(fd);
    this.#descriptors.clear();
  }
}
