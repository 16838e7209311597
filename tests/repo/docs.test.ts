// What README.md, ARCHITECTURE.md and CONTRIBUTING.md name exists, and what they show works.

import { describe, expect, test } from "bun:test";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { checkout } from "../../scripts/lib/paths.ts";
import { parseCommandLine } from "../../src/options/command_line.ts";
import { findOption } from "../../src/options/options.ts";
import { parseOzone } from "../../src/ozone/options.ts";
import { codeSpans, projectPaths, shellCommands, shellWords } from "./markdown.ts";

const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(
  (name) => [name, readFileSync(join(checkout, name), "utf8")] as const,
);
const everything = documents.map(([, text]) => text).join("\n");
const spans = documents.flatMap(([, text]) => codeSpans(text));
const commands = documents.flatMap(([, text]) => shellCommands(text));

describe.each(documents)("%s", (_name, text) => {
  test("names files and folders that exist", () => {
    const paths = projectPaths(text);
    expect(paths.length).toBeGreaterThan(5);
    expect(paths.filter((path) => !existsSync(join(checkout, path)))).toEqual([]);
  });
});

test("scripts that are run by name are there", () => {
  const names = [...everything.matchAll(/\bbun run (\w+)/g)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(3);
  expect(names.filter((name) => !(name in packageJson.scripts))).toEqual([]);
});

test("every script of package.json is a file", () => {
  const files = Object.values(packageJson.scripts).map((script) => script.replace(/^bun /, ""));
  expect(files.filter((file) => !existsSync(join(checkout, file)))).toEqual([]);
});

const shown = (program: string) =>
  commands.filter((command) => command.startsWith(`${program} `)).map((command) => [command]);

test.each(shown("dist/stratovirt"))("%s", (command) => {
  expect(parseCommandLine(shellWords(command).slice(1), "0").kind).toBe("run");
});

test.each(shown("dist/ozone"))("%s", (command) => {
  expect(["launch", "clean"]).toContain(parseOzone(shellWords(command).slice(1)).kind);
});

const launches = commands.filter((command) => command.includes(" -- -kernel"));
test.each(launches.map((command) => [command]))("the machine in %s", (command) => {
  const [, inside = ""] = command.split(" -- ");
  expect(parseCommandLine(shellWords(inside), "0").kind).toBe("run");
});

test("the scripts that a newcomer starts are executable", () => {
  const scripts = commands.map((command) => shellWords(command)[0] ?? "");
  const own = scripts.filter((script) => script.startsWith("scripts/"));
  expect(own.length).toBeGreaterThanOrEqual(2);
  for (const script of own) accessSync(join(checkout, script), constants.X_OK);
});

test("options in the text are options of the program", () => {
  const options = spans
    .map((span) => /^-([a-z][\w-]*)/.exec(span)?.[1])
    .filter((name) => name !== undefined);
  expect(options.length).toBeGreaterThan(5);
  expect(options.filter((name) => findOption(name) === undefined)).toEqual([]);
});

test("each level of the table of tests is a suite", () => {
  const table = everything.slice(
    everything.indexOf("| suite |"),
    everything.indexOf("A test reads"),
  );
  const rows = [...table.matchAll(/^\| (`[^|]*) \|/gm)].map(([, cell = ""]) => cell);
  const names = rows.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
  const folders = names.filter((name) => !["check", "zig"].includes(name));
  expect(folders.filter((name) => !existsSync(join(checkout, "tests", name)))).toEqual([]);
});
