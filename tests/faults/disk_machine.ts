// The program with a guest that reads its disk without end, and what a fault must leave as it was.

import { writeFileSync } from "node:fs";
import type { Client, Message } from "../qmp/client.ts";
import { diskPayload, SCORE } from "../support/disk_payload.ts";
import { type PayloadOptions, PayloadProgram } from "../support/payload_program.ts";
import { type ProcessFacts, processFacts } from "../support/process_facts.ts";
import type { TemporaryFolder } from "../support/temporary_folder.ts";
import { until, untilFound } from "../support/until.ts";

const SECTORS = new Uint8Array(64 * 1024).fill(7);
/** The runtime starts helpers of its own late, one a kind. */
const LATE_THREAD_COUNT = 4;
/** Heaps breathe: so much more is no leak. */
const RESIDENT_SLACK_BYTES = 24 * 2 ** 20;

export interface DiskMachineOptions extends PayloadOptions {
  readonly argv?: (folder: TemporaryFolder) => readonly string[];
}

export function diskMachine({ argv, ...options }: DiskMachineOptions = {}): PayloadProgram {
  return new PayloadProgram(
    diskPayload(),
    (folder) => {
      writeFileSync(folder.file("disk"), SECTORS);
      return [
        ...["-drive", `id=d,file=${folder.file("disk")}`],
        ...["-device", "virtio-blk-device,drive=d,id=disk0"],
        ...(argv?.(folder) ?? []),
      ];
    },
    options,
  );
}

export interface Score {
  readonly done: number;
  readonly longest: number;
  readonly now: number;
  readonly data: number;
}

/** Milliseconds between commands, so that QMP takes them all: a hundred a second and no more. */
const COMMAND_INTERVAL_MS = 11;

let nextCommandAt = 0;

/** Asks when it is time for the next command. */
export async function askPaced(
  client: Client,
  command: string,
  rest: Readonly<Record<string, unknown>> = {},
): Promise<Message> {
  await until("the time of the next command", () => performance.now() >= nextCommandAt);
  nextCommandAt = performance.now() + COMMAND_INTERVAL_MS;
  return client.ask(command, rest);
}

/** What the guest says of itself. */
export async function scoreOf(client: Client): Promise<Score> {
  const read = async (address: number) => {
    const { return: value } = await askPaced(client, "query-mem-gpa", {
      arguments: { gpa: address.toString(16) },
    });
    return Number.parseInt(String(value), 16);
  };
  return {
    done: await read(SCORE.done),
    longest: await read(SCORE.longest),
    now: await read(SCORE.now),
    data: await read(SCORE.data),
  };
}

/** Waits until the guest has read its disk a few more times, and read it well. */
export async function untilItReads(client: Client): Promise<Score> {
  const before = await scoreOf(client);
  return untilFound("more reads of the guest", async () => {
    const after = await scoreOf(client);
    return after.done > before.done ? after : undefined;
  });
}

export function factsOf({ program }: PayloadProgram): ProcessFacts {
  return processFacts(program.child.pid);
}

/** Resolves when descriptors and threads are as before; throws when they, or memory, are not. */
export async function untilNothingLeaked(
  machine: PayloadProgram,
  before: ProcessFacts,
): Promise<void> {
  await until("descriptors and threads as before", () => {
    const now = factsOf(machine);
    const threadCountMax = before.threadCount + LATE_THREAD_COUNT;
    return now.descriptorCount <= before.descriptorCount && now.threadCount <= threadCountMax;
  });
  const grown = factsOf(machine).residentBytes - before.residentBytes;
  if (grown > RESIDENT_SLACK_BYTES) throw new Error(`${grown} bytes more are resident`);
}
