// kill -9 at every system call with which the program touches a template: what is there is the old
// one or the new one, whole, and the next save tidies up.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { messageOf } from "../../../src/errors.ts";
import { openTemplate } from "../../../src/machine/snapshot/template.ts";
import { Client } from "../../qmp/client.ts";
import { Program } from "../../support/program.ts";
import {
  type CallPoint,
  hasStrace,
  killingAt,
  recordedPoints,
  recording,
} from "../../support/strace.ts";
import { makeTemplate, TemplateMachine } from "../../support/template_machine.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { untilFound } from "../../support/until.ts";

const folder = new TemporaryFolder();
const template = folder.file("t");
const old = folder.file("old");
const trace = folder.file("trace");
const qmpPath = folder.file("qmp");
const files = ["", "/state", "/state.new", "/memory", "/memory.new"].map((end) => template + end);

beforeAll(() => makeTemplate(old, ""));
afterAll(() => folder[Symbol.dispose]());

/** Saves a machine of the whole program once; it may be killed on the way. */
async function save(launcher: readonly string[]): Promise<void> {
  rmSync(qmpPath, { force: true });
  const machine = ["-machine", "microvm,accel=test", "-m", "128M"];
  const argv = [...machine, "-qmp", `unix:${qmpPath},server,nowait`];
  await using program = new Program(argv, { launcher });
  const client = await untilFound("the QMP socket", () =>
    Client.connect({ unix: qmpPath }).catch(() => undefined),
  );
  await client.next();
  client.send(JSON.stringify({ execute: "migrate", arguments: { uri: `file:${template}` } }));
  await Promise.race([program.end, ended(client)]);
  // Where nothing killed it: the end of strace alone would leave it running.
  client.send(JSON.stringify({ execute: "quit" }));
  await program.end;
}

async function ended(client: Client): Promise<void> {
  await untilFound("the save's end", async () => {
    client.send(JSON.stringify({ execute: "query-migrate" }));
    const { return: answer } = await client.next();
    const status = (answer as { status?: string } | undefined)?.status;
    return status === "completed" || status === "failed" ? status : undefined;
  });
}

function prepare(before: string): void {
  rmSync(template, { recursive: true, force: true });
  if (before === "an old template") cpSync(old, template, { recursive: true });
}

/** The id of what is there, or why nothing is. */
function found(): string {
  if (!existsSync(`${template}/state`)) return "none";
  try {
    const opened = openTemplate(template);
    opened.close();
    return opened.manifest.id;
  } catch (error) {
    return messageOf(error);
  }
}

async function pointsOf(before: string): Promise<CallPoint[]> {
  prepare(before);
  await save(recording(trace, files));
  return recordedPoints(trace);
}

for (const before of ["no template", "an old template"]) {
  test.skipIf(!hasStrace)(
    `a save over ${before} can be killed at any of its calls`,
    async () => {
      const points = await pointsOf(before);
      expect(points.map(({ name }) => name)).toContainValues(["rename"]);
      prepare(before);
      const oldId = found();
      const seen = new Set<string>();
      for (const point of points) {
        prepare(before);
        await save(killingAt(point, files));
        seen.add(
          found()
            .replace(oldId, "old")
            .replace(/^[0-9a-f]{64}$/, "new"),
        );
        using next = await TemplateMachine.start("");
        expect((await next.save(template)).status).toBe("completed");
        expect(readdirSync(template).toSorted()).toEqual(["memory", "state"]);
      }
      expect([...seen].toSorted()).toEqual(["new", "old"]);
    },
    120_000,
  );
}
