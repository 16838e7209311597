// What may stand at the end of a half-typed command line, from the declarations of the options.

import { allOptions, findOption } from "../options/options.ts";
import type { KeySchema, Keys, OptionSchema, ValueType, Variants } from "../options/schema.ts";

function isOffered(declared: { readonly supported?: false }): boolean {
  return declared.supported !== false;
}

/** The words that a value may be; none where it is free text, a number or a path. */
function valueWords(key: Pick<KeySchema, "type" | "supportedValues">): readonly string[] {
  const { type, supportedValues } = key;
  const words = wordsOfType(type);
  if (supportedValues === undefined || type.kind !== "choice") return words;
  return words.filter((word) => supportedValues.includes(word));
}

function wordsOfType(type: ValueType): readonly string[] {
  switch (type.kind) {
    case "choice":
      return type.choices;
    case "boolean":
      return [type.yes[0] ?? "on", type.no[0] ?? "off"];
    case "flag":
    case "text":
    case "integer":
    case "size":
    case "pattern":
      return [];
  }
}

/** Values after `key=`, or the keys that are not there yet. */
function keyWords(keys: Keys, given: readonly string[], last: string): string[] {
  const equals = last.indexOf("=");
  if (equals >= 0) {
    const name = last.slice(0, equals);
    const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
    return key === undefined ? [] : valueWords(key).map((word) => `${name}=${word}`);
  }
  const taken = new Set(given.map((part) => part.split("=")[0]));
  return Object.entries(keys)
    .filter(([name, key]) => isOffered(key) && !taken.has(name))
    .map(([name, { type }]) => (type.kind === "flag" ? name : `${name}=`));
}

function firstWords(keys: Keys): readonly string[] {
  const positional = Object.values(keys).find((key) => key.positional);
  return positional === undefined ? [] : valueWords(positional);
}

function variantWords(variants: Variants, parts: readonly string[], last: string): string[] {
  const [head] = parts;
  if (head === undefined) {
    return Object.entries(variants)
      .filter(([, variant]) => isOffered(variant))
      .map(([name]) => name);
  }
  const name = head.split(":")[0] ?? head;
  const variant = Object.hasOwn(variants, name) ? variants[name] : undefined;
  return variant === undefined ? [] : keyWords(variant.keys, parts.slice(1), last);
}

function optionWords(option: OptionSchema, current: string): string[] {
  const parts = current.split(",");
  const last = parts.pop() ?? "";
  const before = parts.map((part) => `${part},`).join("");
  switch (option.shape) {
    case "value":
      return [...wordsOfType(option.type)];
    case "keys": {
      const keys = keyWords(option.keys, parts, last);
      const words = parts.length === 0 ? [...firstWords(option.keys), ...keys] : keys;
      return words.map((word) => before + word);
    }
    case "variants":
      return variantWords(option.variants, parts, last).map((word) => before + word);
    case "flag":
    case "words":
    case "ignored":
      return [];
  }
}

function optionNames(): string[] {
  return allOptions
    .filter((option) => isOffered(option) && option.shape !== "ignored")
    .map(({ name }) => `-${name}`);
}

/**
 * Whole words that may take the place of the last of `words`, which are those after the program's
 * name. None means that anything, such as a path, may stand there.
 */
export function candidates(words: readonly string[], tools: readonly string[]): string[] {
  const current = words.at(-1) ?? "";
  const fits = (all: readonly string[]) => all.filter((word) => word.startsWith(current));
  const line = words[0] === "check" ? words.slice(1) : words;
  if (current.startsWith("-")) return fits(optionNames());
  const before = line.slice(0, -1).findLast((word) => word.startsWith("-"));
  if (before === undefined) {
    const isFirst = words.length === 1;
    return fits(isFirst ? [...tools, ...optionNames()] : line === words ? [] : optionNames());
  }
  const option = findOption(before.slice(1));
  return option === undefined ? [] : fits(optionWords(option, current));
}
