// Transcripts of migrate, query-migrate and migrate_cancel.

import { expect, test } from "bun:test";
import { withServer } from "./harness.ts";

const qmp = withServer();

test("migrate answers, then STOP says that the guest is paused", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("query-migrate")).toEqual({ return: { status: "none" } });
  const args = { uri: "file:/tmp/a:b", blk: false, inc: false, detach: true };
  expect(await client.ask("migrate", { arguments: args, id: 1 })).toEqual({ return: {}, id: 1 });
  expect(await client.next()).toMatchObject({ event: "STOP" });
  expect(qmp.machine.calls).toEqual(["migrate /tmp/a:b", "pause"]);
  expect(await client.ask("query-migrate")).toEqual({
    return: { status: "active", ram: { transferred: 0, remaining: 4096, total: 4096 } },
  });
  expect(await client.ask("query-status")).toMatchObject({ return: { status: "paused" } });
});

test("a second migrate is refused in the machine's words", async () => {
  const client = await qmp.greeted();
  qmp.machine.migrationState = { status: "active" };
  expect(await client.ask("migrate", { arguments: { uri: "file:/tmp/a" } })).toEqual({
    error: { class: "GenericError", desc: "It is being saved already." },
  });
});

test.each([
  [
    { status: "failed", sentence: "It is full." },
    { status: "failed", "error-desc": "It is full." },
  ],
  [{ status: "canceled" }, { status: "canceled" }],
  [{ status: "completed" }, { status: "completed" }],
] as const)("query-migrate tells of %j", async (state, answer) => {
  const client = await qmp.greeted();
  qmp.machine.migrationState = state;
  expect(await client.ask("query-migrate")).toEqual({ return: answer });
});

test("migrate_cancel reaches the machine", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("migrate_cancel")).toEqual({ return: {} });
  expect(qmp.machine.calls).toEqual(["cancelMigration"]);
});

test.each(["tcp:10.0.0.1:4444", "unix:/tmp/socket", "exec:cat", "file:", "/tmp/a", ""])(
  "the uri %j is refused",
  async (uri) => {
    const client = await qmp.greeted();
    expect(await client.ask("migrate", { arguments: { uri } })).toEqual({
      error: {
        class: "GenericError",
        desc:
          "Bad argument 'uri' of 'migrate': this machine is saved to a folder, expected " +
          `file:DIR, but got ${JSON.stringify(uri)}.`,
      },
    });
    expect(qmp.machine.calls).toEqual([]);
  },
);

test("migrate needs a uri and knows no other words", async () => {
  const client = await qmp.greeted();
  expect((await client.ask("migrate")).error?.desc).toContain("'uri' of 'migrate'");
  const args = { uri: "file:/tmp/a", resume: true };
  expect((await client.ask("migrate", { arguments: args })).error?.desc).toBe(
    "Unknown argument 'resume' of 'migrate'. Known: uri, blk, inc, detach.",
  );
});
