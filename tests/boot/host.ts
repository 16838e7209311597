// Where the guests of the boot tests run: on this host's own KVM if that can run Linux, else in
// the lab. Programs and images are copied to the memory of that host once.

import { mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { guestImages } from "../../scripts/guest/images.ts";
import { hostCanRunLinux, labRun, labShare, labStart, labUp } from "../../scripts/lab/index.ts";
import { runCommand } from "../../scripts/lib/command.ts";
import { checkout } from "../../scripts/lib/paths.ts";
import { type Kernels, makeKernels } from "./kernels.ts";

const folder = "/tmp/stratovirt-boot";
/** For beforeAll: the first time packages are downloaded, and the lab boots. */
export const prepareTimeoutMs = 600_000;
const copyTimeoutMs = 120_000;
const buildTimeoutMs = 300_000;

/** What a started program reads and who takes what it writes. */
export interface Streams {
  readonly stdin: ReadableStream<Uint8Array>;
  readonly onStdout: (bytes: Uint8Array) => void;
  readonly onStderr: (bytes: Uint8Array) => void;
  readonly env: Record<string, string>;
  readonly timeoutMs: number;
}

/** How a program ended; a lost lab rejects with a LabError instead. */
export interface Ended {
  readonly code: number;
  readonly timedOut: boolean;
}

export interface GuestHost {
  /** "lab" or "own KVM", for messages. */
  readonly name: string;
  readonly program: string;
  readonly kernels: Kernels;
  readonly initrd: string;
  /** Starts a program there; settles when it has ended. */
  start(argv: string[], streams: Streams): Promise<Ended>;
  /** A path there for a file that a test makes; `name` is unique in the test run. */
  pathOf(name: string): string;
  /** A fresh copy of the root disk. */
  makeDisk(name: string): Promise<string>;
  /** Brings a file of that host here and removes it there. */
  fetch(path: string): Promise<string>;
}

let known: Promise<GuestHost> | undefined;

/** The host of all guests; the first call builds, starts and copies what is missing. */
export function guestHost(): Promise<GuestHost> {
  known ??= prepare();
  return known;
}

/** After the lab was lost: what was copied there is gone. */
export function forgetHost(): void {
  known = undefined;
}

async function prepare(): Promise<GuestHost> {
  const build = join(checkout, "scripts/build.ts");
  await runCommand(["bun", build, "--arch", "x86_64"], {
    cwd: checkout,
    timeoutMs: buildTimeoutMs,
  });
  const images = await guestImages();
  const kernels = await makeKernels(images);
  const { able } = await hostCanRunLinux();
  if (!able) await labUp();
  const shell = able ? shellHere : shellInLab;
  const program = join(checkout, "dist/stratovirt");
  const files = [program, ...Object.values(kernels), images.initrd, images.disk];
  const copy = `mkdir -p ${folder} && cp -u --remove-destination "$@" ${folder}`;
  await shell(copy, files);
  const there = (path: string) => join(folder, basename(path));
  return {
    name: able ? "own KVM" : "lab",
    program: there(program),
    kernels: {
      bzImage: there(kernels.bzImage),
      vmlinux: there(kernels.vmlinux),
      vmlinuxWithoutNote: there(kernels.vmlinuxWithoutNote),
      gzip: there(kernels.gzip),
    },
    initrd: there(images.initrd),
    start: able ? startHere : startInLab,
    pathOf: (name) => join(folder, name),
    makeDisk: async (name) => {
      const path = join(folder, name);
      await shell('cp --sparse=always "$1" "$2"', [there(images.disk), path]);
      return path;
    },
    fetch: async (path) => {
      const here = join(labShare, basename(path));
      mkdirSync(labShare, { recursive: true });
      rmSync(here, { force: true });
      await shell('cp --sparse=always "$1" "$2" && rm "$1"', [path, here]);
      return here;
    },
  };
}

async function shellHere(script: string, words: string[]): Promise<void> {
  await runCommand(["sh", "-c", script, "sh", ...words], { timeoutMs: copyTimeoutMs });
}

async function shellInLab(script: string, words: string[]): Promise<void> {
  const argv = ["sh", "-c", script, "sh", ...words];
  const { code, stderr } = await labRun(argv, { timeoutMs: copyTimeoutMs });
  if (code !== 0) throw new Error(`"${script}" ended with ${code} in the lab: ${stderr}`);
}

async function startInLab(argv: string[], streams: Streams): Promise<Ended> {
  const command = await labStart(argv, { ...streams, cwd: "/" });
  return command.ended;
}

async function startHere(argv: string[], streams: Streams): Promise<Ended> {
  const child = Bun.spawn(argv, {
    cwd: "/",
    env: { ...process.env, ...streams.env },
    stdin: streams.stdin,
    stdout: "pipe",
    stderr: "pipe",
    timeout: streams.timeoutMs,
    killSignal: "SIGKILL",
  });
  const read = async (stream: ReadableStream<Uint8Array>, take: (bytes: Uint8Array) => void) => {
    for await (const bytes of stream) take(bytes);
  };
  const [code] = await Promise.all([
    child.exited,
    read(child.stdout, streams.onStdout),
    read(child.stderr, streams.onStderr),
  ]);
  return { code, timedOut: child.signalCode === "SIGKILL" };
}
