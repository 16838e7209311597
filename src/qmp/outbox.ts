// Bytes on their way to a socket that may take only some of them. Bounded: a client that does not
// read loses its connection, and never costs more than maxQueuedBytes.

export const maxQueuedBytes = 1024 * 1024;

/** What an outbox needs of a socket. */
export interface OutboxSocket {
  /** How many bytes were taken; negative once closed. */
  write(bytes: Uint8Array): number;
  end(): void;
  terminate(): void;
}

export class Outbox {
  readonly #socket: OutboxSocket;
  #queue: Uint8Array = new Uint8Array(0);
  #closing = false;
  #gone = false;
  #waiters: (() => void)[] = [];

  constructor(socket: OutboxSocket) {
    this.#socket = socket;
  }

  send(text: string): void {
    if (this.#closing || this.#gone) return;
    this.#queue = Buffer.concat([this.#queue, Buffer.from(text)]);
    this.flush();
    if (this.#queue.length <= maxQueuedBytes) return;
    this.drop();
    this.#socket.terminate();
  }

  /** Closes as soon as everything is sent; later texts are dropped. */
  close(): void {
    this.#closing = true;
    this.flush();
  }

  /** Gives the socket as much as it takes; called again when it can take more. */
  flush(): void {
    if (this.#gone) return;
    if (this.#queue.length > 0) {
      const taken = this.#socket.write(this.#queue);
      if (taken < 0) {
        this.drop();
        this.#socket.terminate();
        return;
      }
      this.#queue = this.#queue.subarray(taken);
    }
    if (this.#queue.length > 0) return;
    this.#wake();
    if (!this.#closing) return;
    this.#gone = true;
    this.#socket.end();
  }

  /** Forgets what is queued: the socket is gone. */
  drop(): void {
    this.#gone = true;
    this.#queue = new Uint8Array(0);
    this.#wake();
  }

  /** Resolves when nothing is queued. */
  idle(): Promise<void> {
    if (this.#gone || this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
