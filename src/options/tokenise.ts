// Splits argv into options and their values (behaviour 1.1). The splitter is ours: citty parses
// GNU style (-abc is three flags, --name), where QEMU style has long names behind a single dash,
// repeated options and values bound by position. citty serves subcommands.

import { UserError } from "../errors.ts";
import { allOptions, findOption, optionNames } from "./options.ts";
import { notSupported } from "./parse.ts";
import type { OptionSchema } from "./schema.ts";
import { nearest } from "./suggest.ts";
import { placeholderOf } from "./values.ts";

/** One use of an option on the command line. */
export interface Use {
  readonly option: OptionSchema;
  readonly values: readonly string[];
}

const hint = "Use -help to list the options.";

function ownerOfKey(name: string): string | undefined {
  return allOptions.find((option) => option.shape === "keys" && Object.hasOwn(option.keys, name))
    ?.name;
}

function unknownOption(token: string): UserError {
  const written = token.replace(/^-+/, "");
  const [name = "", ...rest] = written.split("=");
  const start = `Unknown option '${token}'.`;
  const near = findOption(name) ? name : nearest(name, optionNames());
  if (near !== undefined && rest.length === 0) {
    return new UserError(`${start} Did you mean '-${near}'?`);
  }
  if (near !== undefined) {
    return new UserError(`${start} Did you mean '-${near} ${rest.join("=")}'?`);
  }
  const owner = ownerOfKey(name);
  if (owner === undefined) return new UserError(`${start} ${hint}`);
  return new UserError(`${start} '${name}' is a key of -${owner}: write '-${owner} ${written}'.`);
}

/** What follows the option's name in a usage line. */
export function valueUsage(option: OptionSchema): string {
  switch (option.shape) {
    case "flag":
    case "ignored":
      return "";
    case "value":
      return option.optional ? `[${placeholderOf(option.type)}]` : placeholderOf(option.type);
    case "words":
      return "WORDS";
    case "variants":
      return `${option.selector.toUpperCase()}[,KEY=VALUE…]`;
    case "keys": {
      const first = Object.entries(option.keys).find(([, key]) => key.positional);
      if (first === undefined) return "KEY=VALUE[,KEY=VALUE…]";
      return `[${first[0]}=]${placeholderOf(first[1].type)}[,KEY=VALUE…]`;
    }
  }
}

function checkCount(option: OptionSchema, values: readonly string[]): void {
  const name = `-${option.name}`;
  if (option.shape === "ignored") return;
  if (option.shape === "flag") {
    if (values.length === 0) return;
    throw new UserError(`The option ${name} takes no value, but got '${values[0]}'.`);
  }
  const optional = option.shape === "value" && option.optional === true;
  if (values.length === 0 && !optional) {
    throw new UserError(`The option ${name} needs a value: ${name} ${valueUsage(option)}.`);
  }
  if (values.length > 1 && option.shape !== "words") {
    const got = `'${values[0]}' and '${values[1]}'`;
    throw new UserError(`The option ${name} takes one value, but got ${got}.`);
  }
}

/**
 * The uses of options in argv order. Tokens that start with a dash are always options, and others
 * belong to the option before them; `--` ends the options. Throws a UserError for unknown,
 * unsupported, repeated and wrongly valued options.
 */
export function tokenise(argv: readonly string[]): Use[] {
  return collectUses(argv, { find: findOption, unknown: unknownOption, hint });
}

/** What a program knows of its own options. */
export interface Vocabulary {
  /** By its name without the dash. */
  find(name: string): OptionSchema | undefined;
  unknown(token: string): UserError;
  /** What to do about an argument that belongs to no option. */
  readonly hint: string;
}

/** The same for any set of options. */
export function collectUses(argv: readonly string[], vocabulary: Vocabulary): Use[] {
  const uses: { option: OptionSchema; values: string[] }[] = [];
  for (const token of argv) {
    if (token === "--") break;
    if (token.startsWith("-")) {
      const option = vocabulary.find(token.slice(1));
      if (option === undefined) throw vocabulary.unknown(token);
      uses.push({ option, values: [] });
      continue;
    }
    const last = uses.at(-1);
    if (last === undefined) {
      throw new UserError(`Unexpected argument '${token}' before any option. ${vocabulary.hint}`);
    }
    last.values.push(token);
  }
  return uses;
}

/** Checks repetition, the number of values, and that this build has the option. */
export function checkUses(uses: readonly Use[]): void {
  const seen = new Set<string>();
  for (const { option, values } of uses) {
    if (option.supported === false) throw notSupported(`-${option.name}`);
    if (seen.has(option.name) && option.repeatable !== true) {
      throw new UserError(`The option -${option.name} is given twice; give it once.`);
    }
    seen.add(option.name);
    checkCount(option, values);
  }
}
