// The program in a process of its own with a payload as its kernel, a serial port that is a file,
// and a QMP socket.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Client } from "../qmp/client.ts";
import { Program } from "./program.ts";
import { TemporaryFolder } from "./temporary_folder.ts";
import { untilFound } from "./until.ts";
import { x86 } from "./x86.ts";

/** A flat kernel has at least 16 bytes. */
const KERNEL_SIZE = 4096;

export class PayloadProgram implements AsyncDisposable {
  readonly folder = new TemporaryFolder();
  readonly qmpPath = this.folder.file("qmp.sock");
  readonly program: Program;
  readonly #serialPath = this.folder.file("serial.out");

  constructor(code: Uint8Array, more: readonly string[] = []) {
    const kernel = new Uint8Array(KERNEL_SIZE).fill(x86.halt[0] ?? 0);
    kernel.set(code);
    const kernelPath = this.folder.file("kernel");
    writeFileSync(kernelPath, kernel);
    this.program = new Program([
      ...["-machine", "microvm", "-m", "128M", "-kernel", kernelPath],
      ...["-serial", `file,path=${this.#serialPath}`],
      ...["-qmp", `unix:${this.qmpPath},server,nowait`],
      ...more,
    ]);
  }

  get printed(): string {
    return existsSync(this.#serialPath) ? readFileSync(this.#serialPath, "latin1") : "";
  }

  /** A client that has said its capabilities; waits until the machine listens. */
  async connect(): Promise<Client> {
    const client = await untilFound("the QMP socket", () =>
      Client.connect({ unix: this.qmpPath }).catch(() => undefined),
    );
    await client.next();
    await client.ask("qmp_capabilities");
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}
