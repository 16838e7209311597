// What describes the protocol agrees with what the server does: examples, introspection, schemas.

import { beforeEach, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import * as v from "valibot";
import { absentCommands } from "../../src/qmp/commands/absent.ts";
import { commandTable } from "../../src/qmp/commands/registry.ts";
import { eventDeclarations } from "../../src/qmp/events.ts";
import { eventNames } from "../../src/qmp/machine_control.ts";
import { examples } from "../../src/qmp/schema/examples.ts";
import { introspect } from "../../src/qmp/schema/introspect.ts";
import { protocolJsonSchema } from "../../src/qmp/schema/json_schema.ts";
import { qmpReference } from "../../src/qmp/schema/reference.ts";
import type { Message } from "./client.ts";
import { withServer } from "./harness.ts";

const qmp = withServer();
beforeEach(() => {
  qmp.machine.addBalloon(256 * 2 ** 20);
  qmp.machine.descriptors.add("tap0", openSync("/dev/null", "r"));
});

const { commands } = commandTable;
const names = commands.map(({ name }) => name);

test("each command has one example, and no example is for another", () => {
  expect(Object.keys(examples).toSorted()).toEqual(names.toSorted());
});

const whole = Object.entries(examples).filter(([, each]) => each.isExcerpt === undefined);
const excerpts = Object.entries(examples).filter(([, each]) => each.isExcerpt === true);

/** Sends a command as its example does. */
async function perform(name: string): Promise<Message> {
  const client = await qmp.greeted();
  const descriptor = openSync("/dev/null", "r");
  const descriptors = examples[name]?.hasDescriptor ? [descriptor] : [];
  const request = { execute: name, arguments: examples[name]?.args ?? {} };
  client.sendWith(descriptors, JSON.stringify(request));
  closeSync(descriptor);
  return client.next();
}

test.each(whole)("the example of %s is what the server answers", async (name, { returns }) => {
  expect(await perform(name)).toMatchObject({ return: returns });
});

test.each(excerpts)("the excerpt of %s is in the answer", async (name, { returns }) => {
  const { return: result } = await perform(name);
  const shown = (returns as object[]).map((each) => expect.objectContaining(each));
  expect(result).toEqual(expect.arrayContaining(shown));
});

test.each(commands.map((command) => [command.name, command] as const))(
  "the answer of %s fits its schema",
  async (name, { resultSchema }) => {
    const { return: result } = await perform(name);
    expect(v.safeParse(resultSchema, result).issues).toBeUndefined();
  },
);

test.each(eventNames)("the example of the event %s fits its schema", (name) => {
  const { data, example } = eventDeclarations[name];
  expect(v.safeParse(data, example).issues).toBeUndefined();
});

test("query-qmp-schema has every command and event, and describes each type it names", () => {
  const schema = introspect(commands);
  const known = new Set(schema.map(({ name }) => name));
  const kinds = Object.groupBy(schema, (each) => each["meta-type"]);
  expect(kinds.command?.map(({ name }) => name)).toEqual(names);
  expect(kinds.event?.map(({ name }) => name).toSorted()).toEqual(eventNames.toSorted());
  expect(known.size).toBe(schema.length);
  const named = schema.flatMap((each) => [
    each["arg-type"],
    each["ret-type"],
    each["element-type"],
    ...((each.members ?? []) as { type?: string }[]).map(({ type }) => type),
  ]);
  const missing = named.filter((name) => name !== undefined && !known.has(String(name)));
  expect(missing).toEqual([]);
});

test("query-qmp-schema tells optional arguments and choices from others", () => {
  const schema = introspect(commands);
  const input = schema.find(({ name }) => name === "input_event");
  const args = schema.find(({ name }) => name === input?.["arg-type"]);
  const members = (args?.members ?? []) as { type: string }[];
  expect(schema.find(({ name }) => name === members[0]?.type)).toMatchObject({
    "meta-type": "enum",
    values: ["keyboard", "pointer"],
  });
  const listing = schema.find(({ name }) => name === "qom-list-types");
  expect(schema.find(({ name }) => name === listing?.["arg-type"])?.members).toEqual([
    { name: "implements", type: "str", default: null },
    { name: "abstract", type: "bool", default: null },
  ]);
});

test("the JSON schema resolves its references and has the arguments that are needed", () => {
  const schema = protocolJsonSchema(commands) as unknown as {
    anyOf: { $ref: string }[];
    $defs: Record<string, Record<string, unknown>>;
  };
  const found = schema.anyOf.map(({ $ref }) =>
    $ref
      .split("/")
      .slice(1)
      .reduce<unknown>((at, key) => (at as Readonly<Record<string, unknown>>)[key], schema),
  );
  expect(found).not.toContain(undefined);
  expect(Object.keys(schema.$defs.requests ?? {})).toEqual(names);
  expect(schema.$defs.requests?.["query-mem-gpa"]).toMatchObject({
    properties: { execute: { const: "query-mem-gpa" }, arguments: { required: ["gpa"] } },
    required: ["execute", "arguments"],
    additionalProperties: false,
  });
});

test("the reference shows every command and event", () => {
  const text = qmpReference(commands);
  const missing = [...names, ...eventNames].filter((name) => !text.includes(`### ${name}\n`));
  expect(missing).toEqual([]);
  expect(text).toContain('-> {"execute":"query-mem-gpa","arguments":{"gpa":"100000"}}');
});

test.each(Object.entries(absentCommands))(
  "%s is refused with its reason and is in no list",
  async (name, reason) => {
    const client = await qmp.greeted();
    expect(await client.ask(name)).toEqual({
      error: {
        class: "CommandNotFound",
        desc: `The command '${name}' does not apply to this board: ${reason}.`,
      },
    });
    expect(names).not.toContain(name);
  },
);
