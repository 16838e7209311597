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
 * Lines out of chunks. Upstream's harness ends no line and sends one request a read, so a chunk
 * that ends outside of a line's end counts as a whole line as soon as it is a known, full request;
 * only a write in several reads waits for its line feed.
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
          for (const line of lines.push(chunk.toString("latin1"))) {
            outbox.send(`${answerTestLine(bus, line)}\r\n`);
          }
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
