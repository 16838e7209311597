// Reads `head,key=value,flag` of one option against its declared keys. The same functions serve
// QMP's device_add, whose JSON arguments become entries first (behaviour of sub-parameters: there
// is no escape for a comma, and an equals sign after the first belongs to the value).

import { UserError } from "../errors.ts";
import type {
  KeySchema,
  Keys,
  KeyValues,
  Scalar,
  VariantSchema,
  Variants,
  VariantValues,
} from "./schema.ts";
import { didYouMean } from "./suggest.ts";
import { placeholderOf, readValue } from "./values.ts";

/** One `key=value`, or a key alone (`server`). */
export interface Entry {
  readonly key: string;
  readonly value: string | undefined;
}

/** The property name of a key: queue-size is queueSize. */
function camelCase(key: string): string {
  return key.replace(/[-_.]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** A sentence for what is declared but not yet built. */
export function notSupported(what: string): UserError {
  return new UserError(`${what} is not supported yet by this build.`);
}

function splitParts(owner: string, source: string): string[] {
  const parts = source.split(",");
  if (parts.some((part) => part === "")) {
    const why = "separate keys by one comma";
    throw new UserError(`The value '${source}' of ${owner} has an empty part; ${why}.`);
  }
  return parts;
}

function entryOf(part: string): Entry {
  const at = part.indexOf("=");
  if (at < 0) return { key: part, value: undefined };
  return { key: part.slice(0, at), value: part.slice(at + 1) };
}

function positionalKey(keys: Keys): string | undefined {
  return Object.keys(keys).find((name) => keys[name]?.positional);
}

/** Splits a value such as `4,maxcpus=8` or `id=a,server`. */
export function splitEntries(owner: string, keys: Keys, source: string): Entry[] {
  const positional = positionalKey(keys);
  return splitParts(owner, source).map((part, index) => {
    const bare = index === 0 && positional !== undefined && !part.includes("=");
    return bare ? { key: positional, value: part } : entryOf(part);
  });
}

function findKey(owner: string, keys: Keys, name: string): [string, KeySchema] {
  for (const [key, schema] of Object.entries(keys)) {
    if (key === name || schema.aliases?.includes(name)) return [key, schema];
  }
  const known = Object.keys(keys);
  const list = known.length === 0 ? "It has no keys." : `Known keys: ${known.join(", ")}.`;
  throw new UserError(`Unknown key '${name}' of ${owner}.${didYouMean(name, known, list)}`);
}

function readEntry(owner: string, key: string, schema: KeySchema, entry: Entry): Scalar {
  const named = owner.startsWith("-") ? `${owner} ${key}` : `${key} of ${owner}`;
  if (schema.supported === false) throw notSupported(named);
  if (schema.type.kind !== "flag" && (entry.value === undefined || entry.value === "")) {
    const usage = `${entry.key}=${placeholderOf(schema.type)}`;
    throw new UserError(`The key '${entry.key}' of ${owner} needs a value: ${usage}.`);
  }
  const value = readValue(schema.type, entry.value ?? "", `${entry.key} of ${owner}`);
  if (schema.supportedValues?.includes(value) === false) {
    throw notSupported(`${named}=${entry.value}`);
  }
  return value;
}

/**
 * Values of declared keys from entries, with defaults filled in, in camelCase. Throws a UserError
 * for unknown, repeated, missing, unsupported and badly valued keys.
 */
export function readKeys<K extends Keys>(
  owner: string,
  keys: K,
  entries: readonly Entry[],
): KeyValues<K> {
  const given = new Map<string, Scalar>();
  for (const entry of entries) {
    const [key, schema] = findKey(owner, keys, entry.key);
    if (given.has(key)) throw new UserError(`The key '${key}' of ${owner} is given twice.`);
    given.set(key, readEntry(owner, key, schema, entry));
  }
  const values: Record<string, Scalar | undefined> = {};
  for (const [key, schema] of Object.entries(keys)) {
    if (schema.required && !given.has(key)) {
      throw new UserError(`${owner} needs '${key}=${placeholderOf(schema.type)}'.`);
    }
    const fallback = schema.type.kind === "flag" ? false : schema.default;
    values[camelCase(key)] = given.get(key) ?? fallback;
  }
  // The mapped type follows the same declaration that filled the record.
  return values as KeyValues<K>;
}

/** Splits and reads in one go: the value of an option that has keys. */
export function parseKeys<K extends Keys>(owner: string, keys: K, source: string): KeyValues<K> {
  return readKeys(owner, keys, splitEntries(owner, keys, source));
}

/** Finds a declared driver, back end or type; refuses unknown and unsupported ones. */
export function findVariant(
  owner: string,
  selector: string,
  variants: Variants,
  name: string,
): VariantSchema {
  const variant = Object.hasOwn(variants, name) ? variants[name] : undefined;
  if (variant !== undefined) return variant;
  const known = Object.keys(variants);
  const list = owner.startsWith("-") ? `Use '${owner} help' to list them.` : "";
  throw new UserError(`Unknown ${selector} '${name}' of ${owner}.${didYouMean(name, known, list)}`);
}

/** The name of the variant and the entries after it; `unix:PATH,server` gives its path by key. */
export function splitVariant(
  owner: string,
  selector: string,
  variants: Variants,
  source: string,
): { readonly name: string; readonly entries: readonly Entry[] } {
  const [first = "", ...rest] = splitParts(owner, source);
  const entries = rest.map(entryOf);
  const head = first.startsWith(`${selector}=`) ? first.slice(selector.length + 1) : first;
  const colon = head.indexOf(":");
  const start = head.slice(0, Math.max(colon, 0));
  const scheme = Object.hasOwn(variants, start) ? variants[start] : undefined;
  const positional = scheme === undefined ? undefined : positionalKey(scheme.keys);
  if (positional === undefined) return { name: head, entries };
  const value = head.slice(colon + 1);
  return { name: head.slice(0, colon), entries: [{ key: positional, value }, ...entries] };
}

/** Values of a variant, tagged by the selector: the second half of -device and device_add. */
export function readVariant<V extends Variants, S extends string>(
  owner: string,
  selector: S,
  variants: V,
  name: string,
  entries: readonly Entry[],
): VariantValues<V, S> {
  const variant = findVariant(owner, selector, variants, name);
  const full = `${owner} ${name}`;
  if (variant.supported === false) throw notSupported(full);
  const values = readKeys(full, variant.keys, entries);
  return { [selector]: name, ...values } as unknown as VariantValues<V, S>;
}

/** Splits and reads in one go: the value of an option that has variants. */
export function parseVariant<V extends Variants, S extends string>(
  owner: string,
  selector: S,
  variants: V,
  source: string,
): VariantValues<V, S> {
  const { name, entries } = splitVariant(owner, selector, variants, source);
  return readVariant(owner, selector, variants, name, entries);
}

/** Entries of a JSON object such as the arguments of device_add. */
export function entriesOfJson(owner: string, json: Readonly<Record<string, unknown>>): Entry[] {
  return Object.entries(json).map(([key, value]) => {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return { key, value: String(value) };
    }
    throw new UserError(
      `Bad value for ${key} of ${owner}: expected a string, a number or a boolean.`,
    );
  });
}
