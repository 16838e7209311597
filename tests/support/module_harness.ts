// The harness's side of the module-test protocol (behaviour 8.1): listens, and asks the machine
// that connects one line after the other.

import type { Socket, UnixSocketListener } from "bun";
import type { ProgramEnd } from "./program.ts";

export class ModuleHarness implements Disposable {
  readonly #listener: UnixSocketListener<undefined>;
  readonly #connected = Promise.withResolvers<Socket<undefined>>();
  #received = "";
  #wake: () => void = () => {};
  #failure: Error | undefined;

  constructor(path: string) {
    this.#listener = Bun.listen<undefined>({
      unix: path,
      socket: {
        open: (socket) => this.#connected.resolve(socket),
        data: (_, chunk) => {
          this.#received += chunk.toString("latin1");
          this.#wake();
        },
      },
    });
  }

  /** Makes each question fail when the machine has ended before its answer. */
  watch(end: Promise<ProgramEnd>): void {
    end.then(({ code, stderr }) => {
      this.#failure = new Error(`the machine ended with exit code ${code}: ${stderr}`);
      this.#connected.reject(this.#failure);
      this.#wake();
    });
  }

  /** The whole answer to a line, without its end. */
  async ask(line: string): Promise<string> {
    const socket = await this.#connected.promise;
    socket.write(`${line}\n`);
    socket.flush();
    while (!this.#received.includes("\r\n")) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const end = this.#received.indexOf("\r\n");
    const answer = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 2);
    return answer;
  }

  /** Asks; the answer must be OK, with a value or without. */
  async value(line: string): Promise<string> {
    const answer = await this.ask(line);
    if (!answer.startsWith("OK")) throw new Error(`'${line}' was answered by '${answer}'`);
    return answer.slice("OK ".length);
  }

  async write32(address: number, value: number): Promise<void> {
    await this.value(`writel 0x${address.toString(16)} 0x${value.toString(16)}`);
  }

  async read32(address: number): Promise<number> {
    return Number(await this.value(`readl 0x${address.toString(16)}`));
  }

  async writeBytes(address: number, bytes: Uint8Array): Promise<void> {
    const words = [address.toString(16), bytes.length.toString(16), bytes.toHex()];
    await this.value(`write 0x${words[0]} 0x${words[1]} 0x${words[2]}`);
  }

  async readBytes(address: number, size: number): Promise<Uint8Array> {
    const hex = await this.value(`read 0x${address.toString(16)} 0x${size.toString(16)}`);
    return Uint8Array.fromHex(hex.slice(2));
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }
}
