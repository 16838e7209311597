// -mod-test: connects to the harness's unix socket and answers its lines on the machine's bus.

import type { Socket } from "bun";
import { messageOf, UserError } from "../errors.ts";
import { Outbox } from "./outbox.ts";
import type { TestBus } from "./test_protocol.ts";
import { answerTestLine, maxTransferBytes } from "./test_protocol.ts";

/** The longest line: a write of maxTransferBytes in hexadecimal, and its words. */
const maxLineBytes = 2 * maxTransferBytes + 128;

export interface TestConnection {
  /** Resolves when the harness has left. */
  readonly closed: Promise<void>;
  close(): void;
}

/**
 * Lines out of chunks. The protocol has one request a read, with or without a line feed, so that
 * the end of a chunk ends a request; only a write whose bytes are not all there waits for more.
 */
export class TestLines {
  #pending = "";

  /** The requests that are complete now; throws when a line grows over its bound. */
  push(chunk: string): string[] {
    const lines = (this.#pending + chunk).split("\n");
    const last = lines.pop() ?? "";
    this.#pending = "";
    if (last.length > maxLineBytes) {
      throw new UserError(`A line of the module test is longer than ${maxLineBytes} bytes.`);
    }
    if (last.trim() !== "" && isPartialWrite(last)) this.#pending = last;
    else lines.push(last);
    return lines.filter((line) => line.trim() !== "");
  }
}

function isPartialWrite(line: string): boolean {
  const [name, , size, bytes = ""] = line.split(" ");
  if (name !== "write" || size === undefined) return false;
  const wanted = Number.parseInt(size.replace(/^0x/i, ""), 16) * 2;
  return bytes.replace(/^0x/i, "").trimEnd().length < wanted;
}

function answerChunk(outbox: Outbox, lines: TestLines, bus: TestBus, chunk: string): void {
  try {
    for (const line of lines.push(chunk)) outbox.send(`${answerTestLine(bus, line)}\r\n`);
  } catch (error) {
    outbox.send(`ERROR ${messageOf(error)}\r\n`);
    outbox.close();
  }
}

/** Connects and serves until either side closes. Throws a UserError when nobody listens. */
export async function serveTestBus(path: string, bus: TestBus): Promise<TestConnection> {
  const lines = new TestLines();
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  try {
    const socket = await Bun.connect<Outbox>({
      unix: path,
      socket: {
        open(opened: Socket<Outbox>) {
          opened.data = new Outbox(opened);
        },
        data({ data: outbox }, chunk) {
          answerChunk(outbox, lines, bus, chunk.toString("latin1"));
        },
        drain: ({ data: outbox }) => outbox.flush(),
        close({ data: outbox }) {
          outbox.drop();
          resolve();
        },
      },
    });
    return { closed, close: () => socket.end() };
  } catch (error) {
    throw new UserError(`Cannot connect to -mod-test socket '${path}': ${messageOf(error)}.`);
  }
}
