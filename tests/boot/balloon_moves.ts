// Run beside a machine whose memory is a file: moves the balloon over QMP, and tells as JSON what
// came of it. Usage: bun balloon_moves.ts SOCKET FILE TARGET_BYTES... Each target is waited for.

import { statSync } from "node:fs";

const blockSize = 512;

export interface Move {
  readonly targetBytes: number;
  /** What query-balloon said at the end. */
  readonly actualBytes: number | undefined;
  /** What the file occupied before and after. */
  readonly before: number;
  readonly after: number;
  /** Sizes that BALLOON_CHANGED told meanwhile. */
  readonly events: readonly number[];
}

interface Message {
  readonly return?: { readonly actual?: number };
  readonly error?: unknown;
  readonly event?: string;
  readonly data?: { readonly actual: number };
}

const [path = "", file = "", ...targets] = process.argv.slice(2);
let rest = "";
let wake = () => {};
const answers: Message[] = [];
const events: number[] = [];

function take(text: string): void {
  const lines = (rest + text).split("\r\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const message: Message = JSON.parse(line);
    if (message.event === "BALLOON_CHANGED") events.push(message.data?.actual ?? 0);
    else answers.push(message);
  }
  wake();
}

/** Waits until what has come over the socket is enough. */
async function until(enough: () => boolean): Promise<void> {
  while (!enough()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

async function next(): Promise<Message> {
  await until(() => answers.length > 0);
  const answer = answers.shift() ?? {};
  if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  return answer;
}

const socket = await Bun.connect({
  unix: path,
  socket: { data: (_, bytes) => take(bytes.toString()) },
});

async function ask(execute: string, more: object = {}): Promise<number | undefined> {
  socket.write(JSON.stringify({ execute, ...more }));
  return (await next()).return?.actual;
}

async function move(targetBytes: number): Promise<Move> {
  const occupied = () => statSync(file).blocks * blockSize;
  const before = occupied();
  events.length = 0;
  await ask("balloon", { arguments: { value: targetBytes } });
  // The first says what was asked for, the others what the guest came to.
  await until(() => events.length > 1 && events.at(-1) === targetBytes);
  const actualBytes = await ask("query-balloon");
  return { targetBytes, actualBytes, before, after: occupied(), events: [...events] };
}

await next(); // the greeting
const moves: Move[] = [];
for (const target of targets) moves.push(await move(Number(target)));
console.log(JSON.stringify(moves));
process.exit();
