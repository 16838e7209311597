// The program in a process of its own with a payload as its kernel, a serial port that is a file,
// and a QMP socket.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Client } from "../qmp/client.ts";
import { Program, type ProgramOptions } from "./program.ts";
import { TemporaryFolder } from "./temporary_folder.ts";
import { untilFound } from "./until.ts";
import { x86 } from "./x86.ts";

/** A flat kernel has at least 16 bytes. */
const KERNEL_SIZE = 4096;

export type Address =
  | { readonly unix: string }
  | { readonly hostname: string; readonly port: number };

export interface PayloadOptions {
  readonly program?: (folder: TemporaryFolder) => ProgramOptions;
  /** QMP on this port of the loopback interface instead of a unix socket. */
  readonly tcpPort?: number;
  /** Where the serial port goes, if not to the file. */
  readonly serial?: string;
}

const LOOPBACK = "127.0.0.1";

export class PayloadProgram implements AsyncDisposable {
  readonly folder = new TemporaryFolder();
  readonly qmpPath = this.folder.file("qmp.sock");
  readonly program: Program;
  /** Where QMP is. */
  readonly address: Address;
  readonly #serialPath = this.folder.file("serial.out");

  /** `more` are further arguments, which may name files of the folder. */
  constructor(
    code: Uint8Array,
    more: readonly string[] | ((folder: TemporaryFolder) => readonly string[]) = [],
    { program, tcpPort, serial }: PayloadOptions = {},
  ) {
    const kernel = new Uint8Array(Math.max(KERNEL_SIZE, code.length)).fill(x86.halt[0] ?? 0);
    kernel.set(code);
    const kernelPath = this.folder.file("kernel");
    writeFileSync(kernelPath, kernel);
    this.address =
      tcpPort === undefined ? { unix: this.qmpPath } : { hostname: LOOPBACK, port: tcpPort };
    const endpoint = tcpPort === undefined ? `unix:${this.qmpPath}` : `tcp:${LOOPBACK}:${tcpPort}`;
    const words = typeof more === "function" ? more(this.folder) : more;
    const argv = [
      ...(words.includes("-machine") ? [] : ["-machine", "microvm"]),
      ...["-m", "128M", "-kernel", kernelPath],
      ...["-serial", serial ?? `file,path=${this.#serialPath}`],
      ...["-qmp", `${endpoint},server,nowait`],
      ...words,
    ];
    this.program = new Program(argv, program?.(this.folder));
  }

  get printed(): string {
    return existsSync(this.#serialPath) ? readFileSync(this.#serialPath, "latin1") : "";
  }

  /** A client that has said its capabilities; waits until the machine serves it. */
  async connect(): Promise<Client> {
    const client = await untilFound("the QMP socket", async () => {
      const candidate = await Client.connect(this.address).catch(() => undefined);
      const greeting = await candidate?.next();
      return greeting?.QMP === undefined ? undefined : candidate;
    });
    await client.answer("qmp_capabilities");
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}
