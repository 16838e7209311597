// Runs on the host whose KVM has the guests: boots a machine, listens for the marks of its jobs,
// and prints for each how much was moved, in which time, with how many exits of the machine.
// Its argument is an order as JSON.

import { readdirSync, readFileSync } from "node:fs";
import { networkJobs } from "./guest_scripts.ts";
import { type Files, qemu, type Subject, stratovirt } from "./machines.ts";

export interface Order {
  readonly files: Files;
  readonly subject: Subject;
  readonly name: "stratovirt" | "qemu";
}

/** Of one job: bytes or packets a second; exits of all vCPUs and bytes meanwhile. */
export interface Sample {
  readonly index: number;
  readonly perSecond: number;
  readonly exits: number;
  readonly bytes: number;
}

interface Counts {
  readonly timeS: number;
  readonly exits: number;
  readonly bytes: number;
  readonly packets: number;
}

const timeoutMs = 150_000;
const bytesPerKib = 1024;
const vmStatistics = "/sys/kernel/debug/kvm";

/**
 * KVM's folders of statistics, one a machine. Each is named for the thread that made the machine,
 * which may be gone.
 */
function machineFolders(): string[] {
  return readdirSync(vmStatistics, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

function readNumber(path: string): number {
  return Number(readFileSync(path, "utf8"));
}

/** What the interface receives, the guest has sent. */
function tapCount({ files }: Order, index: number, unit: string): number {
  const prefix = networkJobs[index]?.direction === "sent" ? "rx" : "tx";
  return readNumber(`/sys/class/net/${files.tap}/statistics/${prefix}_${unit}`);
}

class Listener {
  readonly samples: Sample[] = [];
  readonly #order: Order;
  /** What was there before the machine. */
  readonly #others: readonly string[];
  #text = "";
  #begun: Counts | undefined;
  #exits = 0;

  constructor(order: Order, others: readonly string[]) {
    this.#order = order;
    this.#others = others;
  }

  get tail(): string {
    return this.#text.slice(-2000);
  }

  hear(text: string): void {
    this.#text += text;
    for (;;) {
      const mark = /job (\d+) (begins|ends|gave)([^\n]*)\n/.exec(this.#text);
      if (mark === null) return;
      this.#text = this.#text.slice(mark.index + mark[0].length);
      this.#take(Number(mark[1]), mark[2] ?? "", mark[3] ?? "");
    }
  }

  #take(index: number, what: string, rest: string): void {
    if (what === "gave") {
      this.#addDiskJob(index, rest.trim().split(";").map(Number));
      return;
    }
    const now = this.#look(index);
    const begun = this.#begun;
    this.#begun = now;
    if (what === "begins" || begun === undefined) return;
    this.#exits = now.exits - begun.exits;
    if (this.#order.subject === "disk") return;
    const unit = networkJobs[index]?.unit ?? "bytes";
    const moved = now[unit] - begun[unit];
    this.samples.push({
      index,
      perSecond: moved / (now.timeS - begun.timeS),
      exits: this.#exits,
      bytes: now.bytes - begun.bytes,
    });
  }

  #look(index: number): Counts {
    const isDisk = this.#order.subject === "disk";
    return {
      timeS: performance.now() / 1000,
      exits: this.#exitCount(),
      bytes: isDisk ? 0 : tapCount(this.#order, index, "bytes"),
      packets: isDisk ? 0 : tapCount(this.#order, index, "packets"),
    };
  }

  #exitCount(): number {
    const own = machineFolders().find((name) => !this.#others.includes(name));
    return own === undefined ? Number.NaN : readNumber(`${vmStatistics}/${own}/exits`);
  }

  /** KiB and KiB a second, of reads and of writes. */
  #addDiskJob(index: number, [read = 0, readRate = 0, written = 0, writeRate = 0]: number[]): void {
    const bytes = (read + written) * bytesPerKib;
    const perSecond = (readRate + writeRate) * bytesPerKib;
    this.samples.push({ index, perSecond, exits: this.#exits, bytes });
  }
}

async function measure(order: Order): Promise<Sample[]> {
  const argv = order.name === "qemu" ? qemu : stratovirt;
  const others = machineFolders();
  const machine = Bun.spawn([...argv(order.files, order.subject)], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const listener = new Listener(order, others);
  const decoder = new TextDecoder();
  for await (const bytes of machine.stdout) listener.hear(decoder.decode(bytes, { stream: true }));
  if (listener.samples.length === 0) process.stderr.write(`${order.name}: ${listener.tail}\n`);
  return listener.samples;
}

const order = JSON.parse(process.argv[2] ?? "") as Order;
process.stdout.write(`${JSON.stringify(await measure(order))}\n`);
