// Runs one command in the lab: streams, signals, exit code, a time limit.

import { constants } from "node:os";
import type { Connection, LabError } from "./connection.ts";
import { openLab } from "./host.ts";
import { type LabState, labState } from "./state.ts";

const windowSize = 64 * 1024; // stdin_window_size in agent_frames.zig
const stdinFlag = 1;
const terminalFlag = 2;
const killGraceMs = 3_000;

export interface TerminalSize {
  rows: number;
  columns: number;
}

export interface LabRunOptions {
  /**
   * After this many milliseconds the command gets SIGTERM, then SIGKILL, and `timedOut` is true.
   */
  timeoutMs?: number;
  cwd?: string;
  env?: Record<string, string>;
  stdin?: ReadableStream<Uint8Array> | Uint8Array | string;
  /** The command gets a terminal of this size. */
  terminal?: TerminalSize;
  /** With these the output is not collected. */
  onStdout?: (bytes: Uint8Array) => void;
  onStderr?: (bytes: Uint8Array) => void;
  lab?: LabState;
}

export interface LabRunResult {
  /** The exit code, or 128 and the signal's number, as shells say it. */
  code: number;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

export interface LabCommand {
  /** Settles when the command has ended; rejects with a LabError when the lab was lost. */
  ended: Promise<LabRunResult>;
  signal(name: NodeJS.Signals): void;
  resize(size: TerminalSize): void;
  /** Holds back or takes on the command's output. */
  pause(): void;
  resume(): void;
}

/** Starts `argv` in the lab, which is started first when it does not run. */
export async function labStart(argv: string[], options: LabRunOptions = {}): Promise<LabCommand> {
  const { connection } = await openLab(options.lab ?? labState());
  const session = new RunSession(connection, options);
  session.start(argv);
  return session;
}

/** Runs `argv` in the lab to its end. */
export async function labRun(argv: string[], options: LabRunOptions = {}): Promise<LabRunResult> {
  return (await labStart(argv, options)).ended;
}

class RunSession implements LabCommand {
  readonly ended: Promise<LabRunResult>;
  readonly #connection: Connection;
  readonly #options: LabRunOptions;
  readonly #stdout: Uint8Array[] = [];
  readonly #stderr: Uint8Array[] = [];
  #credit = windowSize;
  #creditWaiter: (() => void) | undefined;
  #timers: Timer[] = [];
  #timedOut = false;
  #done = false;
  #resolve: (result: LabRunResult) => void;
  #reject: (error: LabError) => void;

  constructor(connection: Connection, options: LabRunOptions) {
    this.#connection = connection;
    this.#options = options;
    const { promise, resolve, reject } = Promise.withResolvers<LabRunResult>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get #takeStdout(): (bytes: Uint8Array) => void {
    return this.#options.onStdout ?? ((bytes) => this.#stdout.push(bytes));
  }

  get #takeStderr(): (bytes: Uint8Array) => void {
    return this.#options.onStderr ?? ((bytes) => this.#stderr.push(bytes));
  }

  start(argv: string[]): void {
    this.#connection.listen({
      onFrame: (kind, payload) => this.#handle(kind, payload),
      onLost: (error) => {
        this.#stop();
        this.#reject(error);
      },
    });
    this.#connection.send("R", encodeRequest(argv, this.#options));
    const { stdin, timeoutMs } = this.#options;
    if (stdin !== undefined) void this.#feed(stdin);
    if (timeoutMs !== undefined) this.#limit(timeoutMs);
  }

  #limit(timeoutMs: number): void {
    this.#timers.push(
      setTimeout(() => {
        this.#timedOut = true;
        this.signal("SIGTERM");
      }, timeoutMs),
      setTimeout(() => this.signal("SIGKILL"), timeoutMs + killGraceMs),
      setTimeout(
        () => {
          this.#connection.lose("the command could not be ended at its time limit");
        },
        timeoutMs + 10 * killGraceMs,
      ),
    );
  }

  #handle(kind: string, payload: Uint8Array): void {
    switch (kind) {
      case "O":
        this.#takeStdout(payload);
        break;
      case "E":
        this.#takeStderr(payload);
        break;
      case "K":
        this.#credit += readNumber(payload);
        this.#creditWaiter?.();
        break;
      case "Z":
        this.#finish(readNumber(payload));
        break;
      default:
        this.#connection.lose(`the host sent an unknown frame "${kind}"`);
    }
  }

  #finish(code: number): void {
    this.#stop();
    this.#connection.close();
    const text = (parts: Uint8Array[]) => new TextDecoder().decode(Buffer.concat(parts));
    this.#resolve({
      code,
      stdout: text(this.#stdout),
      stderr: text(this.#stderr),
      timedOut: this.#timedOut,
    });
  }

  #stop(): void {
    this.#done = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#creditWaiter?.();
  }

  async #feed(stdin: NonNullable<LabRunOptions["stdin"]>): Promise<void> {
    const source = stdin instanceof ReadableStream ? stdin : [Buffer.from(stdin)];
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length && !this.#done; ) {
        while (this.#credit === 0 && !this.#done) await this.#moreCredit();
        const size = Math.min(this.#credit, chunk.length - at);
        this.#connection.send("I", chunk.subarray(at, at + size));
        this.#credit -= size;
        at += size;
      }
      if (this.#done) return;
    }
    if (!this.#done) this.#connection.send("I", new Uint8Array());
  }

  #moreCredit(): Promise<void> {
    return new Promise((resolve) => {
      this.#creditWaiter = resolve;
    });
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#done) this.#connection.send("S", new Uint8Array([constants.signals[name]]));
  }

  resize(size: TerminalSize): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint16(0, size.rows, true);
    new DataView(bytes.buffer).setUint16(2, size.columns, true);
    if (!this.#done) this.#connection.send("W", bytes);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }
}

function readNumber(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0, true);
}

function encodeRequest(argv: string[], options: LabRunOptions): Uint8Array {
  const terminal = options.terminal ?? { rows: 0, columns: 0 };
  const head = new DataView(new ArrayBuffer(9));
  const wantsStdin = options.stdin !== undefined ? stdinFlag : 0;
  head.setUint8(0, wantsStdin | (options.terminal !== undefined ? terminalFlag : 0));
  head.setUint16(1, terminal.rows, true);
  head.setUint16(3, terminal.columns, true);
  head.setUint32(5, argv.length, true);
  const env = Object.entries({ ...defaultEnvironment(), ...options.env });
  const strings = [
    options.cwd ?? process.cwd(),
    ...argv,
    ...env.map(([name, value]) => `${name}=${value}`),
  ];
  const texts = strings.map((string) => `${string}\0`).join("");
  return Buffer.concat([new Uint8Array(head.buffer), Buffer.from(texts)]);
}

function defaultEnvironment(): Record<string, string> {
  const env: Record<string, string> = { LAB: "1", TERM: process.env.TERM ?? "dumb" };
  for (const name of ["PATH", "HOME", "LANG"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
