// exec to process 1 of a Debian guest: this program and QEMU with the same kernel and initial RAM
// disk, in turns, on the host that can run Linux: this one, or the lab.

import { basename, join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { guestImages } from "../guest/images.ts";
import { kernelArguments } from "../guest/kernel_arguments.ts";
import { hostCanRunLinux, labRun, labStart, labUp } from "../lab/index.ts";
import { runCommand } from "../lib/command.ts";
import { checkout } from "../lib/paths.ts";
import { median, ratio, table } from "./figures.ts";

const folder = "/tmp/stratovirt-bench";
const bootTimeoutMs = 120_000;
const copyTimeoutMs = 120_000;
const mark = "stratovirt: init reached";
const memory = "256M";

type Argv = [string, ...string[]];

/** Boots each `count` times after one turn that warms the caches; medians and their ratio. */
export async function measureBoot(count: number): Promise<string> {
  const { able } = await hostCanRunLinux();
  if (!able) await labUp();
  const commands = await copyThere(able);
  const times: Record<keyof typeof commands, number[]> = { stratovirt: [], qemu: [] };
  for (let turn = 0; turn <= count; turn += 1) {
    for (const name of ["stratovirt", "qemu"] as const) {
      const elapsedMs = await (able ? bootHere : bootInLab)(commands[name]);
      if (turn > 0) times[name].push(elapsedMs);
    }
  }
  const own = median(times.stratovirt);
  const other = median(times.qemu);
  const rows = [
    [`in ${able ? "this host's own KVM" : "the lab"}`, "exec to init (median)"],
    ["stratovirt", `${(own / 1000).toFixed(2)} s`],
    ["qemu", `${(other / 1000).toFixed(2)} s`],
  ];
  return `${table(rows)}\nstratovirt / qemu: ${ratio(own, other, "1.0")}`;
}

/** Files mapped over the lab's shared folders are slow, so they are copied into its memory. */
async function copyThere(able: boolean): Promise<{ stratovirt: Argv; qemu: Argv }> {
  const images = await guestImages();
  const program = join(checkout, "dist/stratovirt");
  const files = [program, images.kernel, images.initrd];
  const copy = `mkdir -p ${folder} && cp -u --remove-destination "$@" ${folder}`;
  const command: Argv = ["sh", "-c", copy, "sh", ...files];
  if (able) await runCommand(command);
  else {
    const { code, stderr } = await labRun(command, { timeoutMs: copyTimeoutMs });
    if (code !== 0) throw new UserError(`cannot copy into the lab: ${stderr.trim()}`);
  }
  const there = (path: string) => join(folder, basename(path));
  const guest = [
    ...["-m", memory, "-kernel", there(images.kernel), "-initrd", there(images.initrd)],
    ...["-append", kernelArguments({ script: "true" }), "-serial", "stdio"],
  ];
  return {
    stratovirt: [there(program), "-machine", "microvm", ...guest],
    // a clock that is not there costs the kernel thousands of exits
    qemu: [
      ...(["qemu-system-x86_64", "-M", "microvm,rtc=on", "-accel", "kvm", "-cpu", "host"] as const),
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", ...guest],
    ],
  };
}

async function bootInLab(argv: Argv): Promise<number> {
  const stopwatch = new Stopwatch();
  const command = await labStart(argv, {
    cwd: "/",
    timeoutMs: bootTimeoutMs,
    onStdout: (bytes) => {
      if (stopwatch.sees(bytes)) command.signal("SIGKILL");
    },
    onStderr: (bytes) => stopwatch.complains(bytes),
  });
  await command.ended;
  return stopwatch.elapsedMs();
}

async function bootHere(argv: Argv): Promise<number> {
  const stopwatch = new Stopwatch();
  const child = Bun.spawn(argv, {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: bootTimeoutMs,
    killSignal: "SIGKILL",
  });
  for await (const bytes of child.stdout) if (stopwatch.sees(bytes)) child.kill("SIGKILL");
  await child.exited;
  return stopwatch.elapsedMs();
}

/** Runs until the guest's first process has said that it is there. */
class Stopwatch {
  readonly #startedAt = performance.now();
  readonly #decoder = new TextDecoder();
  #text = "";
  #complaints = "";
  #elapsedMs: number | undefined;

  sees(bytes: Uint8Array): boolean {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    if (!this.#text.includes(mark)) return false;
    this.#elapsedMs ??= performance.now() - this.#startedAt;
    return true;
  }

  complains(bytes: Uint8Array): void {
    this.#complaints += new TextDecoder().decode(bytes);
  }

  elapsedMs(): number {
    if (this.#elapsedMs !== undefined) return this.#elapsedMs;
    const words = `${this.#text.slice(-500)} ${this.#complaints.slice(-500)}`.trim();
    throw new UserError(`a guest never reached its first process: ${words}`);
  }
}
