// One connected client: bytes in, replies and events out, in order. A command's events follow its
// reply, so that a client never sees STOP before the answer to stop.

import { tracePoint } from "../trace_point.ts";
import type { CommandContext, CommandTable } from "./command.ts";
import { idOf } from "./command.ts";
import { newCounters, type QmpCounters } from "./counters.ts";
import { FlowLimit, requestsPerSecond } from "./flow_limit.ts";
import { Handover } from "./handover.ts";
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

const space = 0x20;
/** What a client may send in advance; more closes the oldest. */
const maxCarried = 4;

export type SessionContext = Omit<CommandContext, "takeDescriptor">;

export class Session {
  readonly #port: SessionPort;
  readonly #commands: CommandTable;
  readonly #context: SessionContext;
  readonly #splitter = new JsonSplitter();
  readonly #flow: FlowLimit;
  readonly #counters: QmpCounters;
  #work: Promise<void> = Promise.resolve();
  #busy = false;
  #held: string[] = [];
  #closed = false;
  /** Descriptors that a message to come may take, the oldest first. */
  #carried: Handover[] = [];

  constructor(
    port: SessionPort,
    commands: CommandTable,
    context: SessionContext,
    counters = newCounters(),
  ) {
    this.#port = port;
    this.#counters = counters;
    this.#commands = commands;
    this.#context = context;
    this.#flow = new FlowLimit(port.now);
    port.send(greeting(context.version));
  }

  /**
   * Bytes from the client. Descriptors that came with them are for a message that ends in them; for
   * the next one when none does, or after a space, by which clients send descriptors in advance.
   */
  receive(chunk: Uint8Array, descriptors: readonly number[] = []): void {
    const brought = this.#bring(descriptors);
    let hasMessage = false;
    for (const part of this.#splitter.push(chunk)) {
      switch (part.kind) {
        case "message":
          hasMessage = true;
          this.#enqueue(part.text);
          this.#dropAllBut(brought);
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
    const isOver = !this.#splitter.isWithinObject && chunk.at(-1) !== space;
    if (hasMessage && isOver) this.#dropAllBut(undefined);
  }

  /** The client sends nothing more: closes when everything is answered. */
  finish(): void {
    this.#dropAllBut(undefined);
    this.#then(() => this.#port.close());
  }

  #bring(descriptors: readonly number[]): Handover | undefined {
    if (descriptors.length === 0) return undefined;
    const brought = new Handover(descriptors);
    brought.hold();
    this.#carried.push(brought);
    if (this.#carried.length > maxCarried) this.#carried.shift()?.release();
    return brought;
  }

  #dropAllBut(kept: Handover | undefined): void {
    for (const handover of this.#carried) if (handover !== kept) handover.release();
    this.#carried = this.#carried.filter((handover) => handover === kept);
  }

  /** Sends an event now, or after the reply of the command that is running. */
  notify(event: QmpEvent): void {
    if (this.#closed) return;
    this.#counters.events += 1;
    tracePoint("qmp_event", { event: event.name });
    const text = eventMessage(event.name, event.data ?? {}, this.#port.now());
    if (this.#busy) this.#held.push(text);
    else this.#port.send(text);
  }

  /** The client is gone: nothing more is sent, and requests still waiting are dropped. */
  end(): void {
    this.#closed = true;
    this.#held = [];
    this.#dropAllBut(undefined);
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
    this.#counters.commands += 1;
    if (!this.#flow.admit()) {
      this.#counters.errors += 1;
      const sentence = `More than ${requestsPerSecond} requests in one second; try again later.`;
      this.#then(() => this.#port.send(errorReply("OperationThrottled", sentence, idOf(text))));
      return;
    }
    const handovers = this.#carried;
    for (const handover of handovers) handover.hold();
    this.#then(() => this.#execute(text, () => takeFirst(handovers)));
    this.#work = this.#work.then(() => {
      for (const handover of handovers) handover.release();
    });
  }

  async #execute(text: string, takeDescriptor: () => number | undefined): Promise<void> {
    this.#busy = true;
    const context = { ...this.#context, takeDescriptor };
    const { reply, succeeded, afterReply } = await this.#commands.answer(context, text);
    this.#busy = false;
    if (!succeeded) this.#counters.errors += 1;
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

function takeFirst(handovers: readonly Handover[]): number | undefined {
  for (const handover of handovers) {
    const fd = handover.take();
    if (fd !== undefined) return fd;
  }
  return undefined;
}
