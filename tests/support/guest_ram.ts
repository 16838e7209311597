// Guest memory as a guest driver uses it: little-endian values, bytes, and a bump allocator.

import type { Core } from "../../src/core/core.ts";

/** A piece of guest memory that a device reads or writes. */
export interface GuestBuffer {
  readonly address: number;
  readonly length: number;
}

export class GuestRam {
  readonly #core: Core;
  readonly #start: number;
  readonly #end: number;
  #next: number;

  constructor(core: Core, range: { readonly start: number; readonly end: number }) {
    this.#core = core;
    this.#start = range.start;
    this.#next = range.start;
    this.#end = range.end;
  }

  allocate(length: number, alignment = 16): GuestBuffer {
    const address = Math.ceil(this.#next / alignment) * alignment;
    if (address + length > this.#end) throw new Error("the test's guest memory is used up");
    this.#next = address + length;
    return { address, length };
  }

  /** Holds what the other holds, at the same addresses, and goes on behind it. */
  takeOver(other: GuestRam): void {
    this.write(
      this.#start,
      other.read({ address: this.#start, length: other.#next - this.#start }),
    );
    this.#next = other.#next;
  }

  /** A new buffer with these bytes. */
  place(bytes: Uint8Array, alignment = 16): GuestBuffer {
    const buffer = this.allocate(bytes.length, alignment);
    this.write(buffer.address, bytes);
    return buffer;
  }

  read(buffer: GuestBuffer): Uint8Array {
    return this.#core.readMemory(buffer.address, buffer.length);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#core.writeMemory(address, bytes);
  }

  read16(address: number): number {
    return this.#view(address, 2).getUint16(0, true);
  }

  read32(address: number): number {
    return this.#view(address, 4).getUint32(0, true);
  }

  write16(address: number, value: number): void {
    this.write(address, Uint8Array.of(value & 0xff, (value >> 8) & 0xff));
  }

  #view(address: number, length: number): DataView {
    const bytes = this.#core.readMemory(address, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }
}
