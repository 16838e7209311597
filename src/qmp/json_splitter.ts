// Cuts a stream of bytes into JSON objects: several in one read, one over many reads. Memory is
// bounded by maxMessageBytes, whatever a client sends.

export const maxMessageBytes = 64 * 1024;

export type SplitResult =
  | { readonly kind: "message"; readonly text: string }
  /** Bytes outside of an object, reported once a line and skipped up to its end. */
  | { readonly kind: "garbage" }
  /** An object over maxMessageBytes; everything after it is dropped. */
  | { readonly kind: "too-long" };

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;
const lineFeed = 0x0a;
const blanks: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d, lineFeed]);

type State = "between" | "object" | "string" | "escape" | "garbage" | "dead";

/** Braces and quotes are ASCII, so that bytes can be looked at without decoding UTF-8. */
export class JsonSplitter {
  #state: State = "between";
  #depth = 0;
  #size = 0;
  #parts: Buffer[] = [];

  /** Whether an object has begun and not ended. */
  get isWithinObject(): boolean {
    return this.#depth > 0;
  }

  /** The objects that end in this chunk, and what was wrong, in order. */
  push(chunk: Uint8Array): SplitResult[] {
    const results: SplitResult[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length && this.#state !== "dead"; at += 1) {
      const before = this.#state;
      const done = this.#step(chunk[at] ?? 0);
      if (before === "between") {
        start = at;
        if (this.#state === "garbage") results.push({ kind: "garbage" });
      }
      const inObject = done || this.#depth > 0;
      if (inObject && this.#size + (at + 1 - start) > maxMessageBytes) {
        this.#take();
        this.#state = "dead";
        results.push({ kind: "too-long" });
      } else if (done) {
        this.#keep(chunk.subarray(start, at + 1));
        results.push({ kind: "message", text: this.#take() });
      }
    }
    if (this.#depth > 0 && this.#state !== "dead") this.#keep(chunk.subarray(start));
    return results;
  }

  #keep(bytes: Uint8Array): void {
    this.#parts.push(Buffer.from(bytes));
    this.#size += bytes.length;
  }

  #take(): string {
    const text = Buffer.concat(this.#parts).toString("utf8");
    this.#parts = [];
    this.#size = 0;
    this.#depth = 0;
    return text;
  }

  /** Whether this byte ends an object. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case "between":
        if (byte === open) {
          this.#state = "object";
          this.#depth = 1;
        } else if (!blanks.has(byte)) this.#state = "garbage";
        return false;
      case "garbage":
        if (byte === lineFeed) this.#state = "between";
        return false;
      case "string":
        if (byte === backslash) this.#state = "escape";
        else if (byte === quote) this.#state = "object";
        return false;
      case "escape":
        this.#state = "string";
        return false;
      case "object":
        return this.#stepObject(byte);
      case "dead":
        return false;
    }
  }

  #stepObject(byte: number): boolean {
    if (byte === quote) this.#state = "string";
    else if (byte === open) this.#depth += 1;
    else if (byte === close) this.#depth -= 1;
    if (this.#depth > 0) return false;
    this.#state = "between";
    return true;
  }
}
