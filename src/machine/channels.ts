// The sockets of a machine whose bytes are received by Zig, and who wants to hear of them.

import { Channel, type Delivery } from "../core/channel.ts";
import type { Core } from "../core/core.ts";
import { CoreError } from "../core/error.ts";
import type { DescriptorChannel } from "../qmp/machine_control.ts";

const ENDED: Delivery = { bytes: new Uint8Array(0), descriptors: [] };

export class Channels {
  readonly #core: Core;
  readonly #listeners = new Set<() => void>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Receives on a socket from now on; `onReadable` is called when something may be there. */
  open(fd: number, onReadable: () => void): DescriptorChannel {
    const channel = new Channel(this.#core, fd);
    this.#listeners.add(onReadable);
    return {
      receive: () => receive(channel),
      close: () => {
        this.#listeners.delete(onReadable);
        channel.close();
      },
    };
  }

  /** The doorbell rang for some channel. */
  onNews(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A connection that broke has ended, too. */
function receive(channel: Channel): Delivery | undefined {
  try {
    return channel.receive();
  } catch (error) {
    if (error instanceof CoreError) return ENDED;
    throw error;
  }
}
