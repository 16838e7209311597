// Little-endian bytes, written front to back: what every firmware table is made of.

/** Bytes for a fixed guest physical address. */
export interface MemoryBlob {
  /** What it is, for error sentences and logs. */
  readonly name: string;
  /** Guest physical address of the first byte. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Appends little-endian numbers, text and bytes; `finish` returns all of them. */
export class ByteWriter {
  readonly #bytes: number[] = [];

  /** Count of bytes written so far. */
  get size(): number {
    return this.#bytes.length;
  }

  u8(...values: number[]): this {
    for (const value of values) this.#unsigned(value, 1);
    return this;
  }

  u16(...values: number[]): this {
    for (const value of values) this.#unsigned(value, 2);
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) this.#unsigned(value, 4);
    return this;
  }

  u64(...values: number[]): this {
    for (const value of values) this.#unsigned(value, 8);
    return this;
  }

  /** ASCII text, padded with `padding` to exactly `size` bytes. */
  text(text: string, size: number = text.length, padding = " "): this {
    if (text.length > size) throw new RangeError(`"${text}" is longer than ${size} bytes`);
    for (const character of text.padEnd(size, padding)) this.u8(character.charCodeAt(0));
    return this;
  }

  bytes(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  zeros(count: number): this {
    for (let index = 0; index < count; index += 1) this.#bytes.push(0);
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #unsigned(value: number, size: number): void {
    if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
      throw new RangeError(`${value} is not an unsigned number of ${size} bytes`);
    }
    let rest = value;
    for (let index = 0; index < size; index += 1) {
      this.#bytes.push(rest % 256);
      rest = Math.floor(rest / 256);
    }
  }
}

/** All parts, one after the other. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** The byte that makes the sum of `bytes` zero modulo 256 (ACPI 6.5 section 5.2.6). */
export function checksumOf(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
