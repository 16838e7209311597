// The reference of QMP for people, in Markdown: every command and event with an example.

import type { Command } from "../command.ts";
import { eventDeclarations } from "../events.ts";
import { type Example, examples } from "./examples.ts";
import { type Member, type Shape, shapeOf } from "./shape.ts";

/** The shape of a value in a word or two. */
function nameOf(shape: Shape): string {
  switch (shape.kind) {
    case "string":
    case "integer":
    case "boolean":
      return shape.kind;
    case "any":
      return "any value";
    case "choice":
      return shape.choices.map((word) => `\`${word}\``).join(" or ");
    case "list":
      return `list of ${nameOf(shape.element)}`;
    case "object":
      return "object";
    case "either":
      return shape.options.map(nameOf).join(" or ");
  }
}

function argumentLine({ name, shape, isOptional }: Member): string {
  return `- \`${name}\`: ${nameOf(shape)}${isOptional ? ", optional" : ""}`;
}

function exampleLines(name: string, example: Example): string[] {
  const { args, returns, isExcerpt, hasDescriptor } = example;
  const request = args === undefined ? { execute: name } : { execute: name, arguments: args };
  const note = isExcerpt ? " (an excerpt)" : "";
  return [
    "```json",
    `-> ${JSON.stringify(request)}${hasDescriptor ? " (with a descriptor)" : ""}`,
    `<- ${JSON.stringify({ return: returns })}${note}`,
    "```",
  ];
}

function commandSection({ name, help, argumentSchema }: Command): string {
  const shape = shapeOf(argumentSchema);
  const members = shape.kind === "object" ? shape.members : [];
  const example = examples[name];
  return [
    `### ${name}`,
    "",
    help,
    "",
    ...(members.length === 0 ? [] : [...members.map(argumentLine), ""]),
    ...(example === undefined ? [] : exampleLines(name, example)),
  ].join("\n");
}

function eventSection(name: string): string {
  const declared = eventDeclarations[name as keyof typeof eventDeclarations];
  const timestamp = { seconds: 1767225600, microseconds: 250000 };
  return [
    `### ${name}`,
    "",
    declared.help,
    "",
    "```json",
    `<- ${JSON.stringify({ event: name, data: declared.example, timestamp })}`,
    "```",
  ].join("\n");
}

/** Markdown; commands in alphabetical order. */
export function qmpReference(commands: readonly Command[]): string {
  const sorted = [...commands].sort((a, b) => a.name.localeCompare(b.name));
  return [
    "# QMP commands and events",
    "`->` is what a client sends, `<-` what it gets. A request may have an `id`, which the\n" +
      'reply echoes. Errors are `{"error": {"class": …, "desc": …}}`.',
    "## Commands",
    ...sorted.map(commandSection),
    "## Events",
    ...Object.keys(eventDeclarations).map(eventSection),
    "",
  ].join("\n\n");
}
