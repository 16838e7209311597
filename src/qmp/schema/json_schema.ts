// The whole protocol as a JSON schema (draft 2020-12): what a client may send, what it gets.

import type { Command } from "../command.ts";
import { eventDeclarations } from "../events.ts";
import { errorClasses } from "../protocol.ts";
import { type Shape, shapeOf } from "./shape.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

function schemaOf(shape: Shape): JsonSchema {
  switch (shape.kind) {
    case "string":
    case "integer":
    case "boolean":
      return { type: shape.kind };
    case "any":
      return {};
    case "choice":
      return { type: "string", enum: [...shape.choices] };
    case "list": {
      const list = { type: "array", items: schemaOf(shape.element) };
      return shape.maxLength === undefined ? list : { ...list, maxItems: shape.maxLength };
    }
    case "object":
      return {
        type: "object",
        properties: Object.fromEntries(
          shape.members.map(({ name, shape: inner }) => [name, schemaOf(inner)]),
        ),
        required: shape.members.filter((each) => !each.isOptional).map(({ name }) => name),
        additionalProperties: shape.open,
      };
    case "either":
      return { anyOf: shape.options.map(schemaOf) };
  }
}

function closedObject(properties: Record<string, JsonSchema>, required: string[]): JsonSchema {
  return { type: "object", properties, required, additionalProperties: false };
}

function requestSchema({ name, help, argumentSchema }: Command): JsonSchema {
  const args = shapeOf(argumentSchema);
  const isNeeded = args.kind === "object" && args.members.some((member) => !member.isOptional);
  const properties = { execute: { const: name }, arguments: schemaOf(args), id: {} };
  const required = isNeeded ? ["execute", "arguments"] : ["execute"];
  return { description: help, ...closedObject(properties, required) };
}

const version = closedObject(
  {
    qemu: closedObject(
      { micro: { type: "integer" }, minor: { type: "integer" }, major: { type: "integer" } },
      ["micro", "minor", "major"],
    ),
    package: { type: "string" },
  },
  ["qemu", "package"],
);

const greeting = closedObject(
  { QMP: closedObject({ version, capabilities: { type: "array" } }, ["version", "capabilities"]) },
  ["QMP"],
);

const errorSchema = closedObject(
  {
    error: closedObject({ class: { enum: [...errorClasses] }, desc: { type: "string" } }, [
      "class",
      "desc",
    ]),
    id: {},
  },
  ["error"],
);

const timestamp = closedObject(
  { seconds: { type: "integer" }, microseconds: { type: "integer" } },
  ["seconds", "microseconds"],
);

function byName(pairs: readonly (readonly [string, JsonSchema])[]): JsonSchema {
  return Object.fromEntries(pairs);
}

function references(definitions: JsonSchema, prefix: string): JsonSchema[] {
  return Object.keys(definitions).map((name) => ({ $ref: `#/$defs/${prefix}/${name}` }));
}

/** `$defs` has request, reply, error and event; the root is any message of either side. */
export function protocolJsonSchema(commands: readonly Command[]): JsonSchema {
  const requests = byName(commands.map((each) => [each.name, requestSchema(each)]));
  const replies = byName(
    commands.map(({ name, resultSchema }) => {
      const result = schemaOf(shapeOf(resultSchema));
      return [name, closedObject({ return: result, id: {} }, ["return"])];
    }),
  );
  const events = byName(
    Object.entries(eventDeclarations).map(([name, { help, data }]) => {
      const properties = { event: { const: name }, data: schemaOf(shapeOf(data)), timestamp };
      return [name, { description: help, ...closedObject(properties, Object.keys(properties)) }];
    }),
  );
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "StratoVirt QMP",
    anyOf: [
      { $ref: "#/$defs/greeting" },
      { $ref: "#/$defs/error" },
      ...references(requests, "requests"),
      ...references(replies, "replies"),
      ...references(events, "events"),
    ],
    $defs: { greeting, error: errorSchema, requests, replies, events },
  };
}
