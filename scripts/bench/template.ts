// Templates: from exec to the first guest instruction of a restored machine beside that of an empty
// one, whatever its memory's size; and how fast a machine is saved beside dd on the same disk.

import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { runCommand } from "../lib/command.ts";
import { checkout } from "../lib/paths.ts";
import { median, ratio, table } from "./figures.ts";
import type { Payload } from "./payload.ts";
import { connectQmp } from "./qmp.ts";
import { type Run, runOnce } from "./start.ts";

const program = join(checkout, "dist/stratovirt");
/** The same devices with and without QMP. */
const board = "microvm,replaceable=off";
const mebibyte = 2 ** 20;
/** Guest memory that is not zero. */
const dataMib = 256;
const pollMs = 15;
const saveTimeoutMs = 60_000;
const writeTurns = 5;
const writtenMib = 1024;

/** `count` turns after one that warms the caches; files go to `folder`. */
export async function measureTemplates(
  payload: Payload,
  folder: string,
  count: number,
): Promise<string> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    return [await measureRestore(payload, folder, count), await measureWrite(payload, folder)].join(
      "\n",
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureRestore(payload: Payload, folder: string, count: number): Promise<string> {
  const sizes = ["256M", "4G"] as const;
  for (const size of sizes) await makeTemplate(payload, folder, size);
  const machine = (size: string) => ["-machine", board, "-m", size];
  const commands: readonly (readonly [string, [string, ...string[]]])[] = [
    ...sizes.map(
      (size) =>
        [
          `empty, ${size}`,
          [program, ...machine(size), "-kernel", payload.flat],
        ] as const satisfies [string, [string, ...string[]]],
    ),
    ...sizes.map(
      (size) =>
        [
          `restored, ${size}`,
          [program, ...machine(size), "-incoming", `file:${join(folder, size)}`],
        ] as const satisfies [string, [string, ...string[]]],
    ),
  ];
  const runs = new Map<string, Run[]>(commands.map(([name]) => [name, []]));
  for (let turn = 0; turn <= count; turn += 1) {
    for (const [name, command] of commands) {
      const run = await runOnce(command);
      if (turn > 0) runs.get(name)?.push(run);
    }
  }
  const wall = (name: string) => median((runs.get(name) ?? []).map(({ wallMs }) => wallMs));
  const least = (name: string) => Math.min(...(runs.get(name) ?? []).map(({ wallMs }) => wallMs));
  const cpu = (name: string) => median((runs.get(name) ?? []).map(({ cpuMs }) => cpuMs));
  const rows = commands.map(([name]) => [
    name,
    ...[wall(name), cpu(name), least(name)].map((ms) => `${ms.toFixed(1)} ms`),
  ]);
  return [
    table([["exec to exit", "wall (median)", "CPU (median)", "wall (least)"], ...rows]),
    `restored / empty: ${ratio(wall("restored, 256M"), wall("empty, 256M"), "1.2")}`,
    `restored 4G / 256M: ${ratio(wall("restored, 4G"), wall("restored, 256M"), "0.8 to 1.2")}`,
  ].join("\n");
}

/** A template of a machine before its first instruction, with some of its memory in use. */
async function makeTemplate(payload: Payload, folder: string, size: string): Promise<void> {
  const memory = join(folder, "memory");
  const gib = 4096;
  writeRandom(memory, dataMib, gib);
  await save(["-m", size, "-kernel", payload.flat, "-mem-path", memory], join(folder, size));
  rmSync(memory);
}

async function measureWrite(payload: Payload, folder: string): Promise<string> {
  const memory = join(folder, "memory");
  writeRandom(memory, writtenMib, writtenMib);
  const saves: number[] = [];
  const copies: number[] = [];
  for (let turn = 0; turn < writeTurns; turn += 1) {
    const machine = ["-m", `${writtenMib}M`, "-kernel", payload.flat, "-mem-path", memory];
    saves.push(await save(machine, join(folder, "written")));
    rmSync(join(folder, "written"), { recursive: true });
    copies.push(await copy(join(folder, "copied")));
    rmSync(join(folder, "copied"));
  }
  const rate = (times: readonly number[]) => (writtenMib * 1000) / median(times);
  return [
    table([
      [`${writtenMib} MiB to disk`, "MiB/s (median)"],
      ["saved", rate(saves).toFixed(0)],
      ["dd, fsync", rate(copies).toFixed(0)],
    ]),
    `saved / dd: ${ratio(rate(saves), rate(copies), "0.8")}`,
  ].join("\n");
}

/** Milliseconds from migrate to its end. */
async function save(machine: readonly string[], template: string): Promise<number> {
  const socket = `${template}.qmp`;
  const child = Bun.spawn(
    [program, "-machine", board, "-S", ...machine, "-qmp", `unix:${socket},server,nowait`],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  try {
    const qmp = await connectQmp(socket);
    const startedAt = performance.now();
    await qmp.ask("migrate", { uri: `file:${template}` });
    for (;;) {
      const { status } = (await qmp.ask("query-migrate")) as { status: string };
      const waitedMs = performance.now() - startedAt;
      if (status === "completed") return waitedMs;
      if (status !== "active" || waitedMs > saveTimeoutMs) {
        throw new UserError(`the save to ${template} is ${status} after ${waitedMs} ms`);
      }
      await Bun.sleep(pollMs);
    }
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function copy(target: string): Promise<number> {
  const startedAt = performance.now();
  const words = ["if=/dev/zero", `of=${target}`, "bs=1M", `count=${writtenMib}`, "conv=fsync"];
  await runCommand(["dd", ...words]);
  return performance.now() - startedAt;
}

/** A file of `dataMib` that is `sizeMib` long. */
function writeRandom(path: string, filledMib: number, sizeMib: number): void {
  const fd = openSync(path, "w");
  const chunk = crypto.getRandomValues(new Uint8Array(2 ** 16));
  const bytes = new Uint8Array(mebibyte);
  for (let at = 0; at < bytes.length; at += chunk.length) bytes.set(chunk, at);
  for (let count = 0; count < filledMib; count += 1) writeSync(fd, bytes);
  ftruncateSync(fd, sizeMib * mebibyte);
  closeSync(fd);
}
