// The whole program is saved and started from its template: guests go on where they were, with
// their memory, as often as one likes. STRATOVIRT_SOAK=1 makes it 200 rounds.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, statSync, truncateSync } from "node:fs";
import type { Client } from "../qmp/client.ts";
import { checksAgain, startChecking as start } from "../support/checking_machine.ts";
import { hasKvm } from "../support/kvm.ts";
import type { PayloadProgram } from "../support/payload_program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";

const PASSES = 20;
/** All memory is read, by a core that is built for debugging. */
const SAVE_TIMEOUT_MS = 30_000;
const roundCount = process.env.STRATOVIRT_SOAK === undefined ? 5 : 200;
const cloneCount = 20;
/** So many programs start at the same time. */
const waveSize = 5;

let folder: TemporaryFolder;
let template: string;
beforeEach(() => {
  folder = new TemporaryFolder();
  template = folder.file("t");
});
afterEach(() => folder[Symbol.dispose]());

const checks = (machine: PayloadProgram) => checksAgain(machine, PASSES);
const clone = (...more: readonly string[]) => start("-incoming", `file:${template}`, ...more);

/** Saves a running machine, which is paused then. */
async function save(client: Client): Promise<void> {
  const args = { uri: `file:${template}` };
  const { ino } = statSync(`${template}/state`, { throwIfNoEntry: false }) ?? { ino: 0 };
  expect(await client.ask("migrate", { arguments: args })).toEqual({ return: {} });
  expect(await client.next()).toMatchObject({ event: "STOP" });
  // To ask all the time would meet the limit of requests a second.
  await until("the save's end", () => isNew(ino), SAVE_TIMEOUT_MS);
  const { return: state } = await client.ask("query-migrate");
  expect(state).toMatchObject({ status: "completed" });
}

function isNew(ino: number): boolean {
  const state = statSync(`${template}/state`, { throwIfNoEntry: false });
  return state !== undefined && state.ino !== ino && !existsSync(`${template}/memory.new`);
}

async function saved(...more: readonly string[]): Promise<void> {
  await using machine = start(...more);
  const client = await machine.connect();
  await checks(machine);
  await save(client);
}

describe.skipIf(!hasKvm)("a template", () => {
  test("goes on in another program, while the first can go on too", async () => {
    await using first = start();
    const client = await first.connect();
    await checks(first);
    await save(client);
    await using second = clone();
    await checks(second);
    expect(await client.ask("cont")).toEqual({ return: {} });
    expect(await client.next()).toMatchObject({ event: "RESUME" });
    await checks(first);
    await checks(second);
  });

  test.each([
    ["several vCPUs", ["-smp", "3"], []],
    ["a timer chip", ["-machine", "microvm,pit=on"], []],
    ["shared memory", ["-machine", "microvm,mem-share=on"], []],
    ["memory that is loaded", [], [",mapped=false"]],
  ] as const)("goes on with %s", async (_, machine, [suffix = ""]) => {
    await saved(...machine);
    await using restored = start(...machine, "-incoming", `file:${template}${suffix}`);
    await checks(restored);
  });

  test("waits with -S until cont, and needs no kernel", async () => {
    await saved();
    await using restored = clone("-S");
    const client = await restored.connect();
    expect(await client.ask("query-status")).toMatchObject({ return: { status: "paused" } });
    expect(restored.printed).toBe("");
    await client.ask("cont");
    expect(await client.next()).toMatchObject({ event: "RESUME" });
    await checks(restored);
  });

  test(`serves ${cloneCount} machines at the same time`, async () => {
    await saved();
    await using clones = new AsyncDisposableStack();
    const clients: Client[] = [];
    const machines: PayloadProgram[] = [];
    for (let wave = 0; wave < cloneCount / waveSize; wave += 1) {
      const started = Array.from({ length: waveSize }, () => clones.use(clone("-S")));
      machines.push(...started);
      for (const machine of started) clients.push(await machine.connect());
    }
    await Promise.all(clients.map((client) => client.ask("cont")));
    for (const machine of machines) await checks(machine);
  }, 60_000);

  test(
    `is saved and restored ${roundCount} times in a row`,
    async () => {
      await saved();
      for (let round = 0; round < roundCount; round += 1) {
        await using machine = clone();
        const client = await machine.connect();
        await checks(machine);
        await save(client);
      }
    },
    roundCount * 10_000,
  );

  test("that is damaged ends the start with one sentence, and leaves nothing", async () => {
    await saved();
    truncateSync(`${template}/memory`, 2 ** 21);
    await using machine = clone();
    expect(await machine.program.end).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `stratovirt: The template's file '${template}/memory' is cut short: it has ${2 ** 21} ` +
        `bytes, not ${130 * 2 ** 20}; save the machine again.\n`,
    });
    expect(existsSync(machine.qmpPath)).toBe(false);
  });
});
