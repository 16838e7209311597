// A pseudo terminal for a program under test: its inner end to give to the program, and its mode.

import { closeSync, constants, openSync } from "node:fs";
import { runCommand } from "../../scripts/lib/command.ts";
import { Core } from "../../src/core/core.ts";
import { preparePty } from "../../src/core/host_calls.ts";
import { libc, must } from "./libc.ts";

const FIONREAD = 0x541bn;
/** N_TTY_BUF_SIZE of the kernel, but for a byte that stays free. */
const LINE_SIZE = 4095;

export class PseudoTerminal implements Disposable {
  readonly #outer = openSync(
    "/dev/ptmx",
    constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK,
  );
  readonly path: string;
  /** In the mode in which a shell leaves a terminal, and blocking. */
  readonly inner: number;

  private constructor() {
    const core = Core.create();
    this.path = `/dev/pts/${preparePty(core, this.#outer)}`;
    core.destroy();
    this.inner = openSync(this.path, constants.O_RDWR | constants.O_NOCTTY);
  }

  static async open(): Promise<PseudoTerminal> {
    const terminal = new PseudoTerminal();
    await terminal.#stty("sane");
    return terminal;
  }

  async #stty(...words: string[]): Promise<string> {
    const stdout = await runCommand(["stty", "-F", this.path, ...words]);
    return new TextDecoder().decode(stdout);
  }

  /** All settings, to be compared. */
  mode(): Promise<string> {
    return this.#stty("-a");
  }

  /** Whether what the program wrote fills the line's buffer, because nobody has read it. */
  get isFull(): boolean {
    const count = new Int32Array(1);
    must("FIONREAD", libc.ioctl(this.#outer, FIONREAD, count));
    return (count[0] ?? 0) >= LINE_SIZE;
  }

  [Symbol.dispose](): void {
    closeSync(this.inner);
    closeSync(this.#outer);
  }
}
