// A machine that is killed while it saves itself: the template stays what it was, or is not there.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Client } from "../qmp/client.ts";
import { checksAgain, startChecking as start } from "../support/checking_machine.ts";
import type { PayloadProgram } from "../support/payload_program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";

const PASSES = 5;

let folder: TemporaryFolder;
let template: string;
beforeEach(() => {
  folder = new TemporaryFolder();
  template = folder.file("t");
});
afterEach(() => folder[Symbol.dispose]());

const checks = (machine: PayloadProgram) => checksAgain(machine, PASSES);
const clone = () => start("-incoming", `file:${template}`);

async function beginSave(client: Client): Promise<void> {
  const args = { uri: `file:${template}` };
  expect(await client.ask("migrate", { arguments: args })).toEqual({ return: {} });
}

/** Begins to save the machine and kills it while its memory is written. */
async function killInSave(machine: PayloadProgram): Promise<void> {
  await beginSave(await machine.connect());
  await until("memory that is written", () => existsSync(`${template}/memory.new`));
  machine.program.child.kill("SIGKILL");
  await machine.program.child.exited;
}

async function save(machine: PayloadProgram): Promise<void> {
  const client = await machine.connect();
  await beginSave(client);
  expect(await client.next()).toMatchObject({ event: "STOP" });
  await until("the save's end", () => {
    return existsSync(`${template}/state`) && !existsSync(`${template}/memory.new`);
  });
  expect(await client.ask("query-migrate")).toMatchObject({ return: { status: "completed" } });
}

export function describeSaves(killCount: number): void {
  test(`${killCount} times kill -9 during a save leave the old template whole`, async () => {
    {
      await using first = start();
      await checks(first);
      await save(first);
    }
    for (let round = 0; round < killCount; round += 1) {
      await using machine = clone();
      await checks(machine);
      await killInSave(machine);
    }
    await using last = clone();
    await checks(last);
    await save(last);
  });

  test("kill -9 during a first save leaves no template", async () => {
    {
      await using first = start();
      await checks(first);
      await killInSave(first);
    }
    await using refused = clone();
    const { code, stderr } = await refused.program.end;
    expect(code).toBe(1);
    expect(stderr).toStartWith("stratovirt: The template");
    await using again = start();
    await checks(again);
    await save(again);
  });
}
