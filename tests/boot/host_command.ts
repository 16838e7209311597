// Runs programs beside the guests, wherever that is: to their ends, or while a guest runs.

import { expect } from "bun:test";
import { type Ended, guestHost, prepareTimeoutMs } from "./host.ts";

const timeoutMs = 100_000;

/** What a program prints that has to end well. */
export async function outputOnHost(argv: string[]): Promise<string> {
  const host = await guestHost();
  let text = "";
  const add = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const stdin = new ReadableStream<Uint8Array>({ start: (source) => source.close() });
  const streams = { stdin, onStdout: add, onStderr: add, env: {}, timeoutMs };
  const { code } = await host.start(argv, streams);
  expect({ code, text }).toEqual({ code: 0, text });
  return text;
}

/** A shell script that serves a guest. */
export class Server {
  /** What it has printed so far. */
  printed = "";
  readonly #input = new TransformStream<Uint8Array, Uint8Array>();
  readonly #lines = this.#input.writable.getWriter();
  #ended: Promise<Ended> | undefined;

  /** Starts it, and waits until it prints something. */
  static async start(script: string): Promise<Server> {
    const host = await guestHost();
    const server = new Server();
    const ready = Promise.withResolvers<void>();
    const decoder = new TextDecoder();
    server.#ended = host.start(["sh", "-c", script], {
      stdin: server.#input.readable,
      onStdout: (bytes) => {
        server.printed += decoder.decode(bytes);
        ready.resolve();
      },
      onStderr: () => {},
      env: {},
      timeoutMs: prepareTimeoutMs,
    });
    await ready.promise;
    return server;
  }

  /** Gives it the line that it waits for. */
  async goOn(): Promise<void> {
    await this.#lines.write(new TextEncoder().encode("\n"));
  }

  /** Gives it a line, after which it ends. */
  async stop(): Promise<void> {
    await this.goOn();
    await this.ended();
  }

  async ended(): Promise<void> {
    await this.#ended;
  }
}
