// The life of a machine in a few runs, so that what its threads call can be recorded: start, QMP,
// pauses, a serial port behind a socket, the ends by QMP, by a signal and by the guest, every disk
// engine, collections and compiler tiers.

import { join } from "node:path";
import { checkout } from "../lib/paths.ts";

/** A program to trace, and what to do to it while it runs. */
export interface RecordedRun {
  readonly name: string;
  readonly argv: readonly string[];
  /** Resolves when nothing more is to be done; the program then ends by itself. */
  readonly drive: (program: Bun.Subprocess, folder: string) => Promise<void>;
}

const CODE_OFFSET = 0x1000;
const CODE_ADDRESS = 0x100_0000n;
/** "A" to the serial port, then spins. */
const SPIN = [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xf3, 0x90, 0xeb, 0xfc];
/** An undefined instruction without an interrupt table: a triple fault. */
const FAULT = [0x0f, 0x0b];

/** A 64-bit ELF with one segment of code. */
function kernelOf(code: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * CODE_OFFSET);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, CODE_ADDRESS, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  for (const offset of [80, 88]) view.setBigUint64(offset, CODE_ADDRESS, true);
  view.setBigUint64(72, BigInt(CODE_OFFSET), true);
  for (const offset of [96, 104]) view.setBigUint64(offset, BigInt(CODE_OFFSET), true);
  bytes.set(code, CODE_OFFSET);
  return bytes;
}

/** All runs; `program` starts the monitor, and files go to `folder`. */
export async function recordedRuns(
  program: readonly string[],
  folder: string,
): Promise<RecordedRun[]> {
  await Bun.write(join(folder, "spin"), kernelOf(SPIN));
  await Bun.write(join(folder, "fault"), kernelOf(FAULT));
  const machine = (kernel: string, ...more: string[]) => [
    ...[...program, "-machine", "microvm", "-smp", "2", "-m", "128M"],
    ...["-kernel", join(folder, kernel), ...more],
  ];
  const qmp = ["-qmp", `unix:${join(folder, "qmp")},server,nowait`];
  const serial = ["-serial", `socket,path=${join(folder, "serial")},server,nowait`];
  const child = (file: string, argument: string) => [
    ...[process.execPath, join(checkout, "tests/security", file), argument],
    join(folder, "child"),
  ];
  return [
    { name: "QMP", argv: machine("spin", "-serial", "stdio", ...qmp), drive: driveByQmp },
    { name: "signal", argv: machine("spin", ...serial), drive: driveSerial },
    { name: "triple fault", argv: machine("fault"), drive: async () => {} },
    { name: "endurance", argv: child("seccomp_child.ts", "endure"), drive: async () => {} },
    ...["0", "1", "2"].map((engine) => ({
      name: `disk engine ${engine}`,
      argv: child("seccomp_disk_child.ts", engine),
      drive: async () => {},
    })),
  ];
}

/** A client of a unix socket that gives the lines it gets. */
async function connect(path: string) {
  const lines: string[] = [];
  let rest = "";
  let wake = () => {};
  const socket = await untilConnected(path, (_, chunk) => {
    const parts = (rest + chunk.toString()).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.filter((text) => !text.includes('"event"')));
    wake();
  });
  const next = async () => {
    while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return lines.shift();
  };
  return { socket, next };
}

const PATIENCE_MS = 60_000;

/** Makes the only connection, as soon as somebody listens. */
async function untilConnected(
  path: string,
  data: (socket: unknown, chunk: Buffer) => void,
): Promise<Bun.Socket<undefined>> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await Bun.connect<undefined>({ unix: path, socket: { data } });
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await Bun.sleep(20);
    }
  }
}

async function driveByQmp(_: Bun.Subprocess, folder: string): Promise<void> {
  const { socket, next } = await connect(join(folder, "qmp"));
  const ask = (execute: string) => {
    socket.write(`{"execute":"${execute}"}\n`);
    return next();
  };
  await next();
  await ask("qmp_capabilities");
  const queries = ["query-status", "query-cpus", "query-iothreads", "query-commands", "nonsense"];
  for (const query of queries) await ask(query);
  for (let count = 0; count < 10; count += 1) {
    await ask("stop");
    await ask("cont");
  }
  await ask("quit");
  socket.end();
}

async function driveSerial(program: Bun.Subprocess, folder: string): Promise<void> {
  const path = join(folder, "serial");
  const output = Promise.withResolvers<void>();
  const first = await untilConnected(path, () => output.resolve());
  await output.promise;
  first.end();
  for (let count = 0; count < 3; count += 1) {
    const socket = await untilConnected(path, () => {});
    socket.write("some input\n");
    socket.end();
  }
  const children = `/proc/${program.pid}/task/${program.pid}/children`;
  process.kill(Number((await Bun.file(children).text()).split(" ")[0]), "SIGTERM");
}
