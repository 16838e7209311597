// The splitter, the flow limit and the outbox, without a socket.

import { expect, test } from "bun:test";
import { FlowLimit } from "../../src/qmp/flow_limit.ts";
import { JsonSplitter, maxMessageBytes } from "../../src/qmp/json_splitter.ts";
import type { OutboxSocket } from "../../src/qmp/outbox.ts";
import { maxQueuedBytes, Outbox } from "../../src/qmp/outbox.ts";

const text = '{"a":"}{\\"","b":{"c":[{}]},"ü":"\\\\"}';

function textsOf(chunks: readonly Uint8Array[]): string[] {
  const splitter = new JsonSplitter();
  return chunks
    .flatMap((chunk) => splitter.push(chunk))
    .map((part) => (part.kind === "message" ? part.text : part.kind));
}

test.each(Array.from({ length: Buffer.byteLength(text) - 1 }, (_, index) => index + 1))(
  "an object cut at byte %d is one message",
  (at) => {
    const bytes = Buffer.from(text);
    expect(textsOf([bytes.subarray(0, at), bytes.subarray(at)])).toEqual([text]);
  },
);

test("objects may touch, and blanks between them do not count", () => {
  const bytes = Buffer.from(`${text}${text}\r\n\t ${text} `);
  expect(textsOf([bytes])).toEqual([text, text, text]);
});

test("a message of exactly the limit passes and one byte more does not", () => {
  const sized = (size: number) => Buffer.from(`{"${"x".repeat(size - 4)}"}`);
  expect(textsOf([sized(maxMessageBytes)])).toHaveLength(1);
  expect(textsOf([sized(maxMessageBytes + 1)])).toEqual(["too-long"]);
});

test("100 MB without a line feed are one error, and nothing is kept", () => {
  const splitter = new JsonSplitter();
  const chunk = Buffer.alloc(1 << 20, "x");
  const kinds: string[] = [];
  for (let index = 0; index < 100; index += 1) {
    kinds.push(...splitter.push(chunk).map((part) => part.kind));
  }
  expect(kinds).toEqual(["garbage"]);
});

test("after an object over the limit nothing is read", () => {
  const open = Buffer.from(`{"${"x".repeat(maxMessageBytes)}`);
  expect(textsOf([open, open, Buffer.from(text)])).toEqual(["too-long"]);
});

test("the flow limit has a burst of 100 and refills by one in 10 ms", () => {
  let nowMs = 0;
  const flow = new FlowLimit(() => nowMs);
  const burst = Array.from({ length: 101 }, () => flow.admit());
  expect(burst.filter(Boolean)).toHaveLength(100);
  nowMs = 10;
  expect([flow.admit(), flow.admit()]).toEqual([true, false]);
  nowMs = 5000;
  expect(Array.from({ length: 101 }, () => flow.admit()).filter(Boolean)).toHaveLength(100);
});

/** A socket that takes `room` bytes. */
class SlowSocket implements OutboxSocket {
  room = 0;
  taken = "";
  ended = false;
  terminated = false;

  write(bytes: Uint8Array): number {
    const part = bytes.subarray(0, this.room);
    this.room -= part.length;
    this.taken += Buffer.from(part).toString();
    return part.length;
  }

  end(): void {
    this.ended = true;
  }

  terminate(): void {
    this.terminated = true;
  }
}

test("an outbox sends the rest when the socket drains, then closes", async () => {
  const socket = new SlowSocket();
  const outbox = new Outbox(socket);
  socket.room = 3;
  outbox.send("abcdef");
  outbox.close();
  outbox.send("late");
  expect([socket.taken, socket.ended]).toEqual(["abc", false]);
  const idle = outbox.idle();
  socket.room = 100;
  outbox.flush();
  await idle;
  expect([socket.taken, socket.ended]).toEqual(["abcdef", true]);
});

test("a client that does not read is cut off at the bound", () => {
  const socket = new SlowSocket();
  const outbox = new Outbox(socket);
  outbox.send("x".repeat(maxQueuedBytes));
  expect(socket.terminated).toBe(false);
  outbox.send("y");
  expect(socket.terminated).toBe(true);
});
