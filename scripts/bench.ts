// bun run bench: ratios against Debian's QEMU microvm, in one run: a tiny payload from exec to
// exit, a Debian kernel from exec to init, memory that is not the guest's; templates against an
// empty start and dd; and I/O of a guest.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf, UserError } from "../src/errors.ts";
import { measureBoot } from "./bench/boot.ts";
import { leanQemu, peer, qemu, stratovirt } from "./bench/contender.ts";
import { measureIo } from "./bench/io.ts";
import { measureMemory } from "./bench/memory.ts";
import { writePayloads } from "./bench/payload.ts";
import { measurePhases } from "./bench/phases.ts";
import { measureStart } from "./bench/start.ts";
import { measureTemplates } from "./bench/template.ts";
import { cachePath } from "./lib/paths.ts";

const usage = `usage: bun run bench [--only start|memory|template|boot|io]... [--runs N] [--boots N]
                     [--turns N] [--subject disk|tap|vhost]... [--peer 'PATH ARGUMENT...']...
  --peer   one more program to compare with; {flat} and {elf} in its arguments become the
           payload's files or an ELF with a PVH note
  --runs   turns of the tiny payload (21)    --boots  turns of the Debian kernel (3)
  --turns  turns of fio and iperf3 in a guest (2)`;

const parts = ["start", "memory", "template", "boot", "io"] as const;
const subjects = ["disk", "tap", "vhost"] as const;

function checkNames(option: string, given: readonly string[], known: readonly string[]): void {
  const unknown = given.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new UserError(`--${option} takes ${known.join(", ")}, not "${unknown}"`);
}

function readCount(name: string, text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new UserError(`--${name} wants a number of turns from 1 on, not "${text}"`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true, default: [...parts] },
      runs: { type: "string", default: "21" },
      boots: { type: "string", default: "3" },
      turns: { type: "string", default: "2" },
      subject: { type: "string", multiple: true, default: [...subjects] },
      peer: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  checkNames("only", values.only, parts);
  checkNames("subject", values.subject, subjects);
  const wants = (part: (typeof parts)[number]) => values.only.includes(part);
  const contenders = [stratovirt, qemu, leanQemu, ...values.peer.map(peer)];
  const payloads = writePayloads(join(cachePath("bench"), "payloads"));
  if (wants("start")) {
    const count = readCount("runs", values.runs);
    console.log(`\n== exec, first guest instruction, exit: ${count} turns`);
    console.log(await measureStart(contenders, payloads.ending, count));
    console.log(await measurePhases(contenders, payloads.ending));
  }
  if (wants("memory")) {
    console.log("\n== memory of an idle machine");
    console.log(await measureMemory(contenders, payloads.idle));
  }
  if (wants("template")) {
    const count = readCount("runs", values.runs);
    console.log(`\n== templates: ${count} turns`);
    const folder = join(cachePath("bench"), "templates");
    console.log(await measureTemplates(payloads.ending, folder, count));
  }
  if (wants("boot")) {
    const count = readCount("boots", values.boots);
    console.log(`\n== exec to init of a Debian kernel: ${count} turns`);
    console.log(await measureBoot(count));
  }
  if (wants("io")) {
    const count = readCount("turns", values.turns);
    console.log(`\n== disk and network of a Debian guest: ${count} turns`);
    const wanted = subjects.filter((subject) => values.subject.includes(subject));
    console.log(await measureIo(wanted, count));
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
process.exit();
