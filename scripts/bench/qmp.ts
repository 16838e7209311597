// The least of a QMP client: one command after the other, events passed over.

const timeoutMs = 10_000;
const retryMs = 5;

export interface Qmp {
  /** What the command returns; rejects when it is refused. */
  ask(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
}

interface Message {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
}

/** Connects as soon as somebody listens there, and is greeted. */
export async function connectQmp(path: string): Promise<Qmp> {
  const messages: Message[] = [];
  let wake = () => {};
  let rest = "";
  const socket = await connect(path, (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    messages.push(...lines.map((line) => JSON.parse(line) as Message));
    wake();
  });
  const next = async (): Promise<Message> => {
    for (;;) {
      const message = messages.shift();
      if (message === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (message.event === undefined) return message;
    }
  };
  await next();
  const ask: Qmp["ask"] = async (execute, args = {}) => {
    socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    const answer = await next();
    if (answer.error !== undefined) throw new Error(`${execute}: ${answer.error.desc}`);
    return answer.return;
  };
  await ask("qmp_capabilities");
  return { ask };
}

async function connect(path: string, onText: (text: string) => void): Promise<Bun.Socket> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await Bun.connect({ unix: path, socket: { data: (_, bytes) => onText(`${bytes}`) } });
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(retryMs);
    }
  }
}
