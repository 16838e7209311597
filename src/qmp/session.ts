// One connected client: bytes in, replies and events out, in order. A command's events follow its
// reply, so that a client never sees STOP before the answer to stop.

import type { CommandContext, CommandTable } from "./command.ts";
import { idOf } from "./command.ts";
import { FlowLimit, requestsPerSecond } from "./flow_limit.ts";
import { JsonSplitter, maxMessageBytes } from "./json_splitter.ts";
import type { QmpEvent } from "./machine_control.ts";
import { errorReply, eventMessage, greeting } from "./protocol.ts";

/** What a session needs of its socket. */
export interface SessionPort {
  /** Sends or queues a text. */
  send(text: string): void;
  /** Sends what is queued, then closes. */
  close(): void;
  /** Milliseconds since 1970 with a fraction. */
  now(): number;
}

export class Session {
  readonly #port: SessionPort;
  readonly #commands: CommandTable;
  readonly #context: CommandContext;
  readonly #splitter = new JsonSplitter();
  readonly #flow: FlowLimit;
  #work: Promise<void> = Promise.resolve();
  #busy = false;
  #held: string[] = [];
  #closed = false;

  constructor(port: SessionPort, commands: CommandTable, context: CommandContext) {
    this.#port = port;
    this.#commands = commands;
    this.#context = context;
    this.#flow = new FlowLimit(port.now);
    port.send(greeting(context.version));
  }

  /** Bytes from the client. */
  receive(chunk: Uint8Array): void {
    for (const part of this.#splitter.push(chunk)) {
      switch (part.kind) {
        case "message":
          this.#enqueue(part.text);
          break;
        case "garbage":
          this.#sayLater('Bad request: expected a JSON object like {"execute":"query-status"}.');
          break;
        case "too-long":
          this.#sayLater(`The request is longer than ${maxMessageBytes} bytes; closing.`);
          this.#then(() => this.#port.close());
          break;
      }
    }
  }

  /** Sends an event now, or after the reply of the command that is running. */
  notify(event: QmpEvent): void {
    if (this.#closed) return;
    const text = eventMessage(event.name, event.data ?? {}, this.#port.now());
    if (this.#busy) this.#held.push(text);
    else this.#port.send(text);
  }

  /** The client is gone: nothing more is sent, and requests still waiting are dropped. */
  end(): void {
    this.#closed = true;
    this.#held = [];
  }

  #then(step: () => void | Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (!this.#closed) await step();
    });
  }

  #sayLater(sentence: string): void {
    this.#then(() => this.#port.send(errorReply("GenericError", sentence)));
  }

  #enqueue(text: string): void {
    if (this.#flow.admit()) {
      this.#then(() => this.#execute(text));
      return;
    }
    const sentence = `More than ${requestsPerSecond} requests in one second; try again later.`;
    this.#then(() => this.#port.send(errorReply("OperationThrottled", sentence, idOf(text))));
  }

  async #execute(text: string): Promise<void> {
    this.#busy = true;
    const { reply, afterReply } = await this.#commands.answer(this.#context, text);
    this.#busy = false;
    if (this.#closed) {
      // The order was given; losing its reply does not take it back.
      await afterReply?.();
      return;
    }
    this.#port.send(reply);
    for (const event of this.#held.splice(0)) this.#port.send(event);
    await afterReply?.();
  }
}
