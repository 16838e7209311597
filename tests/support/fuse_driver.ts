// A guest driver for virtio-fs (virtio 1.2, section 5.11.6): FUSE requests of a few kinds
// (linux/fuse.h), each in a chain of its own.

import { VirtioDriver } from "./virtio_driver.ts";

const REQUEST_QUEUE = 1;
const IN_HEADER_SIZE = 40;
const OUT_HEADER_SIZE = 16;
const ROOT_NODE = 1n;
const OPCODE = { lookup: 1, open: 14, read: 15, init: 26 } as const;
const VERSION = { major: 7, minor: 31 } as const;

interface Answer {
  /** 0, or a negative errno. */
  readonly error: number;
  readonly body: DataView;
}

export class FuseDriver extends VirtioDriver {
  #unique = 0n;

  /** The first request of all; returns the version of the other side. */
  async init(): Promise<number> {
    const body = new Uint32Array([VERSION.major, VERSION.minor, 128 * 1024, 0]);
    const { body: answer } = await this.#ask(OPCODE.init, 0n, new Uint8Array(body.buffer), 64);
    return answer.getUint32(0, true);
  }

  /** All bytes of a small file in the root, or a negative errno. */
  async readFile(name: string): Promise<Uint8Array | number> {
    const path = new TextEncoder().encode(`${name}\0`);
    const found = await this.#ask(OPCODE.lookup, ROOT_NODE, path, 128);
    if (found.error !== 0) return found.error;
    const node = found.body.getBigUint64(0, true);
    const opened = await this.#ask(OPCODE.open, node, new Uint8Array(8), 16);
    const request = new DataView(new ArrayBuffer(40));
    request.setBigUint64(0, opened.body.getBigUint64(0, true), true);
    request.setUint32(16, 4096, true);
    const { body } = await this.#ask(OPCODE.read, node, new Uint8Array(request.buffer), 4096);
    return new Uint8Array(body.buffer);
  }

  async #ask(opcode: number, node: bigint, body: Uint8Array, room: number): Promise<Answer> {
    this.#unique += 1n;
    const header = new DataView(new ArrayBuffer(IN_HEADER_SIZE));
    header.setUint32(0, IN_HEADER_SIZE + body.length, true);
    header.setUint32(4, opcode, true);
    header.setBigUint64(8, this.#unique, true);
    header.setBigUint64(16, node, true);
    const input = this.ram.allocate(OUT_HEADER_SIZE + room);
    await this.run(REQUEST_QUEUE, [
      { ...this.ram.place(new Uint8Array(header.buffer)), writable: false },
      { ...this.ram.place(body), writable: false },
      { ...input, writable: true },
    ]);
    const bytes = this.ram.read(input);
    const answer = new DataView(bytes.buffer, bytes.byteOffset);
    const length = answer.getUint32(0, true);
    if (answer.getBigUint64(8, true) !== this.#unique) throw new Error("an answer to nothing");
    const content = bytes.slice(OUT_HEADER_SIZE, length);
    return { error: answer.getInt32(4, true), body: new DataView(content.buffer) };
  }
}
