// Descriptors that come with requests: getfd, closefd, and what nobody wants.

import { expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { maxNamedDescriptors } from "../../src/qmp/named_descriptors.ts";
import { processFacts } from "../support/process_facts.ts";
import { until } from "../support/until.ts";
import type { Client } from "./client.ts";
import { withServer } from "./harness.ts";

const qmp = withServer();

const getfd = (fdname: string, id = 0) =>
  JSON.stringify({ execute: "getfd", arguments: { fdname }, id });

/** Calls back with a new file, which is closed on this side afterwards; returns its number. */
function withFile(name: string, send: (fd: number) => void): number {
  const fd = openSync(join(qmp.folder, name), "w+");
  const { ino } = fstatSync(fd);
  send(fd);
  closeSync(fd);
  return ino;
}

/** Which file a name stands for. */
function fileOf(name: string): number | undefined {
  const fd = qmp.machine.descriptors.get(name);
  return fd === undefined ? undefined : fstatSync(fd).ino;
}

/** A whole turn of the server, after which it holds nothing on the way. */
async function settle(client: Client): Promise<void> {
  await client.ask("query-kvm");
}

test("getfd names the descriptor that came with it, and closefd closes it", async () => {
  const client = await qmp.greeted();
  const file = withFile("one", (fd) => client.sendWith([fd], getfd("one")));
  expect(await client.next()).toEqual({ return: {}, id: 0 });
  expect(fileOf("one")).toBe(file);
  expect(await client.ask("closefd", { arguments: { fdname: "one" } })).toEqual({ return: {} });
  expect(fileOf("one")).toBeUndefined();
  expect(await client.ask("closefd", { arguments: { fdname: "one" } })).toMatchObject({
    error: { class: "GenericError", desc: "There is no descriptor 'one'. getfd makes one." },
  });
});

test("a name given twice has the newer file, and the older is closed", async () => {
  const client = await qmp.greeted();
  await settle(client);
  const before = processFacts().descriptorCount;
  withFile("a", (fd) => client.sendWith([fd], getfd("same")));
  await client.next();
  const second = withFile("b", (fd) => client.sendWith([fd], getfd("same")));
  await client.next();
  expect(fileOf("same")).toBe(second);
  expect(processFacts().descriptorCount).toBe(before + 1);
});

test("of several descriptors the last counts and the others are closed", async () => {
  const client = await qmp.greeted();
  await settle(client);
  const before = processFacts().descriptorCount;
  const last = withFile("b", (fd) =>
    withFile("a", (first) => client.sendWith([first, first, fd], getfd("last"))),
  );
  await client.next();
  expect(fileOf("last")).toBe(last);
  expect(processFacts().descriptorCount).toBe(before + 1);
});

test("a descriptor sent ahead with a space is for the next command", async () => {
  const client = await qmp.greeted();
  const one = withFile("one", (fd) => client.sendWith([fd], " "));
  client.send(getfd("one", 1));
  const two = withFile("two", (fd) => client.sendWith([fd], " "));
  client.send(getfd("two", 2));
  expect((await client.take(2)).map(({ id }) => id)).toEqual([1, 2]);
  expect([fileOf("one"), fileOf("two")]).toEqual([one, two]);
});

test("a descriptor that came with a part of a command is for that command", async () => {
  const client = await qmp.greeted();
  const text = getfd("part");
  client.send(text.slice(0, 5));
  const file = withFile("part", (fd) => client.sendWith([fd], text.slice(5, 20)));
  await new Promise(setImmediate);
  client.send(text.slice(20));
  expect(await client.next()).toEqual({ return: {}, id: 0 });
  expect(fileOf("part")).toBe(file);
});

test("getfd without a descriptor fails", async () => {
  const client = await qmp.greeted();
  client.send(getfd("none"));
  expect((await client.next()).error).toEqual({
    class: "GenericError",
    desc:
      "No descriptor came with getfd for 'none': send one with it by SCM_RIGHTS, " +
      "on a unix socket.",
  });
});

test("a descriptor with another command, garbage, or a bad name is closed", async () => {
  const client = await qmp.greeted();
  await settle(client);
  const before = processFacts().descriptorCount;
  for (const text of ['{"execute":"query-kvm"}', "garbage\n", "{no}", getfd("a:b"), getfd("")]) {
    withFile("lost", (fd) => client.sendWith([fd, fd], text));
    await client.next();
    await settle(client);
    expect(processFacts().descriptorCount).toBe(before);
  }
  client.send(getfd("late"));
  expect(await client.next()).toMatchObject({ error: { class: "GenericError" } });
});

test("more descriptors than a message may have, or than can be held, are closed", async () => {
  const client = await qmp.greeted();
  await settle(client);
  const before = processFacts().descriptorCount;
  for (let round = 0; round < 20; round += 1) {
    withFile("many", (fd) => client.sendWith(Array(100).fill(fd), " "));
  }
  await settle(client);
  expect(processFacts().descriptorCount).toBe(before);
  for (let index = 0; index < maxNamedDescriptors; index += 1) {
    withFile("named", (fd) =>
      qmp.machine.descriptors.add(`n${index}`, openSync(`/dev/fd/${fd}`, "r")),
    );
  }
  withFile("more", (fd) => client.sendWith([fd], getfd("more")));
  expect((await client.next()).error?.desc).toBe(
    `There are ${maxNamedDescriptors} named descriptors already; closefd frees one.`,
  );
  expect(processFacts().descriptorCount).toBe(before + maxNamedDescriptors);
});

test("names outlive their client, and nothing leaks over 1,000 clients", async () => {
  const first = await qmp.greeted();
  withFile("kept", (fd) => first.sendWith([fd], getfd("kept")));
  await first.next();
  await first.end();
  const before = processFacts();
  for (let round = 0; round < 1000; round += 1) {
    const client = await qmp.greeted();
    withFile("lost", (fd) => client.sendWith([fd], `${getfd("kept")}{"execute":`));
    await client.next();
    await client.end();
  }
  const last = await qmp.greeted();
  await last.end();
  await until(
    "all clients are gone",
    () => processFacts().descriptorCount <= before.descriptorCount,
  );
  expect(processFacts().threadCount).toBe(before.threadCount);
  expect(fileOf("kept")).toBeDefined();
}, 60_000);
