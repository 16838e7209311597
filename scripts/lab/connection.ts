// The client's end of the lab's protocol; the frames are described in agent_frames.zig.

const headerSize = 5;
const pingIntervalMs = 10_000;
const silenceLimitMs = 90_000;

/** The lab failed, not the command that ran in it. */
export class LabError extends Error {
  override readonly name = "LabError";
}

export interface ConnectionEvents {
  onFrame(kind: string, payload: Uint8Array): void;
  onLost(error: LabError): void;
}

const encoder = new TextEncoder();

/** A greeted connection. Frames queue until `listen` is called. */
export class Connection {
  #socket: Bun.Socket | undefined;
  #unsent: Uint8Array[] = [];
  #received: Uint8Array = new Uint8Array();
  #events: ConnectionEvents | undefined;
  #lost: LabError | undefined;
  #closed = false;
  #heardAt = Date.now();
  #pinging: Timer | undefined;

  attach(socket: Bun.Socket): void {
    this.#socket = socket;
  }

  /** From now on frames go to `events`; a host that stays silent for long counts as lost. */
  listen(events: ConnectionEvents): void {
    this.#events = events;
    if (this.#lost !== undefined) {
      events.onLost(this.#lost);
      return;
    }
    this.#heardAt = Date.now();
    clearInterval(this.#pinging);
    this.#pinging = setInterval(() => {
      if (Date.now() - this.#heardAt > silenceLimitMs) {
        this.lose(`the host was silent for ${silenceLimitMs / 1000} s`);
      } else this.send("P", new Uint8Array());
    }, pingIntervalMs);
    this.#deliver();
  }

  send(kind: string, payload: Uint8Array | string): void {
    const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
    const frame = new Uint8Array(headerSize + bytes.length);
    frame[0] = kind.charCodeAt(0);
    new DataView(frame.buffer).setUint32(1, bytes.length, true);
    frame.set(bytes, headerSize);
    this.#unsent.push(frame);
    this.drain();
  }

  drain(): void {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const count = this.#socket?.write(first) ?? 0;
      if (count < first.length) {
        this.#unsent[0] = first.subarray(Math.max(count, 0));
        return;
      }
      this.#unsent.shift();
    }
  }

  receive(bytes: Uint8Array): void {
    this.#heardAt = Date.now();
    this.#received =
      this.#received.length === 0 ? bytes.slice() : Buffer.concat([this.#received, bytes]);
    this.#deliver();
  }

  #deliver(): void {
    while (this.#events !== undefined && this.#received.length >= headerSize) {
      const { buffer, byteOffset, byteLength } = this.#received;
      const size = new DataView(buffer, byteOffset, byteLength).getUint32(1, true);
      if (byteLength < headerSize + size) return;
      const kind = String.fromCharCode(this.#received[0] ?? 0);
      const payload = this.#received.subarray(headerSize, headerSize + size);
      this.#received = this.#received.subarray(headerSize + size);
      if (kind !== "P") this.#events.onFrame(kind, payload);
    }
  }

  lose(reason: string): void {
    if (this.#closed) return;
    this.#lost = new LabError(reason);
    this.close();
    this.#events?.onLost(this.#lost);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#pinging);
    this.#socket?.end();
  }

  /** Stops reading while the one who takes the output is slow. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#heardAt = Date.now();
    this.#socket?.resume();
  }
}

/** Connects to the agent at `port` and greets it; a LabError when it does not answer in time. */
export async function connect(port: number, token: string, timeoutMs: number): Promise<Connection> {
  const connection = new Connection();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => connection.attach(opened),
      data: (_, bytes) => connection.receive(bytes),
      drain: () => connection.drain(),
      end: () => connection.lose("the host closed the connection"),
      close: () => connection.lose("the host went away"),
      error: (_, error) => connection.lose(`the connection broke (${error.message})`),
    },
  }).catch((error: unknown) => {
    throw new LabError(`no host at port ${port} (${String(error)})`);
  });
  connection.attach(socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    connection.lose(`the host did not answer within ${timeoutMs / 1000} s`);
  }, timeoutMs);
  connection.listen({ onFrame: (kind) => kind === "H" && resolve(), onLost: reject });
  connection.send("H", token);
  try {
    await promise;
    return connection;
  } finally {
    clearTimeout(timer);
  }
}
