// A connected socket whose bytes may come with descriptors; zig/io/channel.zig receives them.

import { CONSTANTS, ReceiveParamsLayout, Status } from "./abi.gen.ts";
import type { Core } from "./core.ts";
import { CoreError } from "./error.ts";
import { decode, encode } from "./struct.ts";

const BUFFER_SIZE = 64 * 1024;
const FD_SIZE = 4;

/** What came at once. */
export interface Delivery {
  /** Valid until the next call; none when the stream has ended. */
  readonly bytes: Uint8Array;
  /** The caller's to close. */
  readonly descriptors: readonly number[];
}

export class Channel {
  readonly #core: Core;
  readonly #number: number;
  readonly #bytes = new Uint8Array(BUFFER_SIZE);
  readonly #fds = new Uint8Array(CONSTANTS.channelFdCountMax * FD_SIZE);

  /** Watches a socket, which stays the caller's. */
  constructor(core: Core, fd: number) {
    this.#core = core;
    this.#number = core.ask("getUint32", "channel_open", fd);
  }

  /** What is there now; undefined when nothing is. The doorbell rings for what comes later. */
  receive(): Delivery | undefined {
    const params = encode(ReceiveParamsLayout, {
      channel: this.#number,
      size: this.#bytes.length,
      bytes: this.#bytes,
      fds: this.#fds,
      fdCount: 0,
      truncated: 0,
    });
    try {
      this.#core.call("channel_receive", params);
    } catch (error) {
      if (error instanceof CoreError && error.status === Status.empty) return undefined;
      throw error;
    }
    const { size, fdCount } = decode(ReceiveParamsLayout, params);
    const view = new DataView(this.#fds.buffer);
    return {
      bytes: this.#bytes.subarray(0, size),
      descriptors: Array.from({ length: fdCount }, (_, index) =>
        view.getInt32(index * FD_SIZE, true),
      ),
    };
  }

  close(): void {
    this.#core.call("channel_close", this.#number);
  }
}
