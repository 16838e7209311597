// A QMP client of a guest, wherever that runs: commands and events over a relay.

import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import { untilFound } from "../support/until.ts";
import { type Ended, type GuestHost, guestHost } from "./host.ts";

const timeoutMs = 110_000;
/** A guest that prints all the time does so within this many commands. */
const roundCount = 5;
const lookCount = 20;

interface Message {
  readonly return?: unknown;
  readonly event?: string;
  readonly error?: unknown;
}

export class Monitor {
  /** Names of the events so far. */
  readonly events: string[] = [];
  readonly #input = new TransformStream<Uint8Array, Uint8Array>();
  readonly #writer = this.#input.writable.getWriter();
  readonly #answers: Message[] = [];
  readonly #ended: Promise<Ended>;
  #rest = "";
  #complaints = "";
  #isOver = false;
  #wake: () => void = () => {};

  private constructor(host: GuestHost, socket: string) {
    const decoder = new TextDecoder();
    const relay = join(checkout, "tests/boot/relay.ts");
    this.#ended = host.start(["bun", relay, socket], {
      stdin: this.#input.readable,
      onStdout: (bytes) => this.#take(decoder.decode(bytes, { stream: true })),
      onStderr: (bytes) => {
        this.#complaints += new TextDecoder().decode(bytes);
      },
      env: {},
      timeoutMs,
    });
    const over = () => {
      this.#isOver = true;
      this.#wake();
    };
    this.#ended.then(over, over);
  }

  /** Connects to the socket of that name beside the guest, once it is there, and greets. */
  static async connect(name: string): Promise<Monitor> {
    const host = await guestHost();
    const monitor = new Monitor(host, host.pathOf(name));
    await monitor.#next(); // the greeting
    await monitor.ask("qmp_capabilities");
    return monitor;
  }

  /** Saves the guest into a template, which takes a while, and ends it. */
  async saveAndQuit(template: string): Promise<void> {
    await this.ask("migrate", { uri: `file:${template}` });
    await this.until("query-migrate", { status: "completed" });
    await this.ask("quit");
  }

  /** Sends a command; resolves to what it returns. */
  async ask(execute: string, args: object = {}): Promise<unknown> {
    const answer = await untilFound(`${execute} to be taken`, () => this.#exchange(execute, args));
    if (answer.error !== undefined) throw new Error(`${execute}: ${JSON.stringify(answer.error)}`);
    return answer.return;
  }

  /** Undefined when the server will not be asked so often. */
  async #exchange(execute: string, args: object): Promise<Message | undefined> {
    const request = JSON.stringify({ execute, arguments: args });
    await this.#writer.write(new TextEncoder().encode(`${request}\n`));
    const answer = await this.#next();
    return Object(answer.error).class === "OperationThrottled" ? undefined : answer;
  }

  /** Asks until the answer has these members. */
  async until(execute: string, members: Readonly<Record<string, unknown>>): Promise<void> {
    const wanted = Object.entries(members);
    await untilFound(
      `${execute} to answer ${JSON.stringify(members)}`,
      async () => {
        const answer = await this.#exchange(execute, {});
        const isThere = wanted.every(([name, value]) => Object(answer?.return)[name] === value);
        return isThere || undefined;
      },
      timeoutMs,
    );
  }

  /** Waits until `console` stays the same over some commands; fails if it never does. */
  async silence(console: () => string): Promise<void> {
    for (let look = 0; look < lookCount; look += 1) {
      const before = console();
      for (let round = 0; round < roundCount; round += 1) await this.ask("query-status");
      if (console() === before) return;
    }
    throw new Error(`the guest went on printing: ${console().slice(-500)}`);
  }

  async #next(): Promise<Message> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) return answer;
      if (this.#isOver) {
        await this.#ended; // a lost lab rejects with its own error
        throw new Error(`the QMP connection ended: ${this.#complaints}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (message.event === undefined) this.#answers.push(message);
      else this.events.push(message.event);
    }
    this.#wake();
  }
}
