// A client of a unix or tcp socket that keeps all bytes it has got, and can stop reading.

import type { Socket } from "bun";
import { until } from "./until.ts";

interface TcpAddress {
  readonly hostname: string;
  readonly port: number;
}

export class SocketClient {
  readonly #socket: Socket<undefined>;
  readonly #received: { text: string };
  readonly #closed: { value: boolean };

  private constructor(
    socket: Socket<undefined>,
    received: { text: string },
    closed: { value: boolean },
  ) {
    this.#socket = socket;
    this.#received = received;
    this.#closed = closed;
  }

  /** `place` is the path of a unix socket or an address of tcp. */
  static async connect(place: string | TcpAddress): Promise<SocketClient> {
    const received = { text: "" };
    const closed = { value: false };
    const socket = await Bun.connect<undefined>({
      ...(typeof place === "string" ? { unix: place } : place),
      socket: {
        data(_, chunk) {
          received.text += chunk.toString("latin1");
        },
        close() {
          closed.value = true;
        },
      },
    } as Bun.UnixSocketOptions<undefined>);
    return new SocketClient(socket, received, closed);
  }

  get text(): string {
    return this.#received.text;
  }

  get isClosed(): boolean {
    return this.#closed.value;
  }

  send(text: string): void {
    this.#socket.write(text);
    this.#socket.flush();
  }

  /** Stops taking bytes, as a slow reader does, until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Leaves at once, with whatever is unread. */
  terminate(): void {
    this.#socket.terminate();
  }

  async untilReceived(text: string): Promise<void> {
    await until(`'${text.slice(0, 40)}'`, () => this.text === text);
  }

  async close(): Promise<void> {
    this.#socket.end();
    await until("the socket's end", () => this.isClosed);
  }
}
