// A QMP client for tests that takes messages one after another.

import type { Socket } from "bun";
import { sendDescriptors } from "../support/libc.ts";

export interface Message {
  readonly QMP?: { readonly version: unknown; readonly capabilities: unknown };
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly id?: unknown;
  readonly event?: string;
  readonly data?: unknown;
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number };
}

export class Client {
  readonly #socket: Socket<undefined>;
  readonly #lines: string[] = [];
  #rest = "";
  #wake: () => void = () => {};
  readonly closed: Promise<void>;

  private constructor(socket: Socket<undefined>, closed: Promise<void>) {
    this.#socket = socket;
    this.closed = closed;
  }

  static async connect(address: { unix: string } | { hostname: string; port: number }) {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    let client: Client | undefined;
    const early: Buffer[] = [];
    const socket = await Bun.connect<undefined>({
      ...address,
      socket: {
        data: (_, chunk) => (client === undefined ? early.push(chunk) : client.#take(chunk)),
        close: () => resolve(),
        error: () => resolve(),
      },
    } as Bun.UnixSocketOptions<undefined>);
    client = new Client(socket, closed);
    for (const chunk of early) client.#take(chunk);
    return client;
  }

  #take(chunk: Buffer): void {
    const parts = (this.#rest + chunk.toString()).split("\r\n");
    this.#rest = parts.pop() ?? "";
    this.#lines.push(...parts);
    this.#wake();
  }

  send(bytes: string): void {
    this.#socket.write(bytes);
    this.#socket.flush();
  }

  /** Sends bytes with descriptors, which stay the caller's; on a unix socket. */
  sendWith(descriptors: readonly number[], bytes: string): void {
    const { fd } = this.#socket as unknown as { readonly fd: number };
    sendDescriptors(fd, Buffer.from(bytes), descriptors);
  }

  /** The next message; waits for it. */
  async next(): Promise<Message> {
    return JSON.parse(await this.nextText());
  }

  /** The next message as it was sent. */
  async nextText(): Promise<string> {
    while (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#lines.shift() ?? "";
  }

  /** The next `count` messages. */
  async take(count: number): Promise<Message[]> {
    const messages: Message[] = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }

  /** Sends one command and waits for the next message. */
  ask(execute: string, rest: Readonly<Record<string, unknown>> = {}): Promise<Message> {
    this.send(JSON.stringify({ execute, ...rest }));
    return this.next();
  }

  /** Sends one command and waits for its answer; events that come before are passed over. */
  async answer(execute: string): Promise<Message> {
    this.send(JSON.stringify({ execute }));
    let message = await this.next();
    while (message.event !== undefined) message = await this.next();
    return message;
  }

  /** Is gone, with whatever it would still get. */
  die(): void {
    this.#socket.terminate();
  }

  async end(): Promise<void> {
    this.#socket.end();
    await this.closed;
  }
}
