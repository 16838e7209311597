// A guest under test: starts the program with a kernel, reads and types on its serial console, and
// keeps its log.

import { type AfterScript, kernelArguments } from "../../scripts/guest/kernel_arguments.ts";
import { LabError } from "../../scripts/lab/index.ts";
import { type Ended, forgetHost, guestHost } from "./host.ts";
import type { Kernels } from "./kernels.ts";

/** Less than the limit of a test, so that a guest that hangs shows its console. */
const bootTimeoutMs = 110_000;
let guestCount = 0;

export interface GuestOptions {
  readonly kernel?: keyof Kernels;
  /** As -m has it. */
  readonly memory?: string;
  readonly cpuCount?: number;
  /** Runs in place of a shell. */
  readonly script?: string;
  readonly after?: AfterScript;
  /** Further words of the kernel command line. */
  readonly append?: string;
  /** Without a disk the guest stays in its initial RAM disk. */
  readonly disk?: "none";
  /** The disk of a guest that ended, in place of a fresh one. */
  readonly on?: string;
  readonly machine?: string;
  /** Further words of the program's command line; `$NAME` becomes the guest's own name. */
  readonly more?: readonly string[];
}

/** What is left of a guest that ended. */
export interface Outcome {
  readonly code: number;
  readonly console: string;
  readonly log: string;
  /** Where the disk is, on the guest's host. */
  readonly disk: string;
}

export class Guest {
  readonly name: string;
  readonly disk: string;
  /** Everything the guest printed on its serial console so far. */
  console = "";
  log = "";
  #shownSize = 0;
  readonly #input = new TransformStream<Uint8Array, Uint8Array>();
  readonly #keyboard = this.#input.writable.getWriter();
  #ended: Promise<Ended> | undefined;
  #isOver = false;
  #wake: () => void = () => {};

  private constructor(name: string, disk: string) {
    this.name = name;
    this.disk = disk;
  }

  /** Starts a guest; it boots while the test goes on. */
  static async start(options: GuestOptions): Promise<Guest> {
    const host = await guestHost();
    guestCount += 1;
    const name = `guest-${process.pid}-${guestCount}`;
    const fresh = () => host.makeDisk(`${name}.ext4`);
    const disk = options.disk === "none" ? "" : (options.on ?? (await fresh()));
    const guest = new Guest(name, disk);
    guest.#run(host.start, [
      ...[host.program, "-machine", options.machine ?? "microvm", "-serial", "stdio"],
      ...["-m", options.memory ?? "256M", "-smp", String(options.cpuCount ?? 1)],
      ...["-kernel", host.kernels[options.kernel ?? "bzImage"], "-initrd", host.initrd],
      ...["-append", commandLine(options), ...diskWords(disk)],
      ...(options.more ?? []).map((word) => word.replace("$NAME", host.pathOf(name))),
    ]);
    return guest;
  }

  /** Runs a guest from start to end; once more when the lab was lost under it. */
  static run(options: GuestOptions): Promise<Outcome> {
    return onceMoreIfLost(async () => (await Guest.start(options)).outcome());
  }

  #run(start: Awaited<ReturnType<typeof guestHost>>["start"], argv: string[]): void {
    const consoleText = new TextDecoder();
    const logText = new TextDecoder();
    const ended = start(argv, {
      stdin: this.#input.readable,
      onStdout: (bytes) => {
        this.console += consoleText.decode(bytes, { stream: true });
        this.#wake();
      },
      onStderr: (bytes) => {
        this.log += logText.decode(bytes, { stream: true });
      },
      env: { STRATOVIRT_LOG_LEVEL: "debug" },
      timeoutMs: bootTimeoutMs,
    });
    const over = () => {
      this.#isOver = true;
      this.#wake();
    };
    ended.then(over, over);
    this.#ended = ended;
  }

  /** Types a line and a carriage return on the serial console. */
  type(line: string): Promise<void> {
    return this.#keyboard.write(new TextEncoder().encode(`${line}\r`));
  }

  /** Later waits do not find what the console shows now. */
  skip(): void {
    this.#shownSize = this.console.length;
  }

  /** Waits until the console shows `pattern`, after what earlier waits have found. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.console.slice(this.#shownSize));
      if (found !== null) {
        this.#shownSize += found.index + found[0].length;
        return found;
      }
      if (this.#isOver) {
        await this.outcome();
        throw new Error(`the console never showed ${pattern}: ${this.#tail()}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Waits for the end. A lost lab rejects with its own error, a guest that hangs with its tail. */
  async outcome(): Promise<Outcome> {
    const ended = await this.#ended;
    if (ended === undefined || ended.timedOut) {
      throw new Error(`the guest did not end in ${bootTimeoutMs / 1000} s: ${this.#tail()}`);
    }
    return { code: ended.code, console: this.console, log: this.log, disk: this.disk };
  }

  #tail(): string {
    return `${this.console.slice(-2000)}\n${this.log.slice(-2000)}`;
  }
}

/** Attempts something with guests; once more when the lab was lost under it. */
export async function onceMoreIfLost<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    console.log(`once more, for the lab was lost: ${error.message}`);
    forgetHost();
    return attempt();
  }
}

function commandLine({ script, after, append }: GuestOptions): string {
  return kernelArguments({
    ...(script !== undefined && { script }),
    ...(after !== undefined && { after }),
    ...(append !== undefined && { more: append }),
  });
}

function diskWords(disk: string): string[] {
  if (disk === "") return [];
  const drive = `id=root,file=${disk},readonly=off,direct=off`;
  return ["-drive", drive, "-device", "virtio-blk-device,drive=root,id=disk0"];
}
