// Reads, describes and checks one value of each declared kind.

import { UserError } from "../errors.ts";
import type { IntegerType, Scalar, ValueType } from "./schema.ts";
import { didYouMean, orList } from "./suggest.ts";

const KiB = 1024;
const unitBytes: Readonly<Record<string, number>> = { K: KiB, M: KiB ** 2, G: KiB ** 3 };

/** A size in the largest unit that divides it, like 512M. */
export function formatSize(bytes: number): string {
  if (bytes > 0 && bytes % KiB ** 3 === 0) return `${bytes / KiB ** 3}G`;
  if (bytes > 0 && bytes % KiB ** 2 === 0) return `${bytes / KiB ** 2}M`;
  return bytes > 0 && bytes % KiB === 0 ? `${bytes / KiB}K` : `${bytes} bytes`;
}

/** What a value looks like in a usage line: PATH, on|off, N. */
export function placeholderOf(type: ValueType): string {
  switch (type.kind) {
    case "text":
    case "pattern":
      return type.placeholder;
    case "boolean":
      return `${type.yes[0]}|${type.no[0]}`;
    case "flag":
      return "";
    case "integer":
      return "N";
    case "size":
      return "N[K|M|G]";
    case "choice":
      return type.choices.join("|");
  }
}

/** What a value has to be, for the end of a sentence. */
export function expectedOf(type: ValueType): string {
  switch (type.kind) {
    case "text":
      return `1 to ${type.maxBytes} bytes`;
    case "pattern":
      return type.expected;
    case "boolean":
      return orList([type.yes[0] ?? "on", type.no[0] ?? "off"]);
    case "flag":
      return "no value, or on or off";
    case "integer":
      return expectedInteger(type);
    case "size":
      return `a size from ${formatSize(type.min)} to ${formatSize(type.max)}, like 512M or 1G`;
    case "choice":
      return orList(type.choices);
  }
}

function expectedInteger(type: IntegerType): string {
  const what = type.powerOfTwo ? "a power of two" : "a whole number";
  return `${what} from ${type.min} to ${type.max}`;
}

/** Bytes from text like 256, 256M or 1g; undefined when it is no size. Without unit it is MiB. */
function parseSize(source: string): number | undefined {
  const match = /^(\d{1,15})([KMG]?)$/i.exec(source);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (unitBytes[(match[2] || "M").toUpperCase()] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function parseInteger(type: IntegerType, source: string): number | undefined {
  const shape = type.hex ? /^(\d{1,15}|0x[0-9a-f]{1,12})$/i : /^\d{1,15}$/;
  if (!shape.test(source)) return undefined;
  const value = Number(source);
  if (value < type.min || value > type.max) return undefined;
  return type.powerOfTwo && !Number.isInteger(Math.log2(value)) ? undefined : value;
}

function parseBoolean(
  type: { readonly yes: readonly string[]; readonly no: readonly string[] },
  source: string,
): boolean | undefined {
  if (type.yes.includes(source)) return true;
  return type.no.includes(source) ? false : undefined;
}

function parseValue(type: ValueType, source: string): Scalar | undefined {
  switch (type.kind) {
    case "text": {
      const bytes = Buffer.byteLength(source);
      return bytes >= 1 && bytes <= type.maxBytes && !source.includes("\0") ? source : undefined;
    }
    case "pattern":
      return type.pattern.test(source) ? source : undefined;
    case "boolean":
      return parseBoolean(type, source);
    case "flag":
      return parseBoolean({ yes: ["on", "true", ""], no: ["off", "false"] }, source);
    case "integer":
      return parseInteger(type, source);
    case "size": {
      const bytes = parseSize(source);
      return bytes !== undefined && bytes >= type.min && bytes <= type.max ? bytes : undefined;
    }
    case "choice":
      return type.choices.find((word) => word === source.toLowerCase());
  }
}

/**
 * The value of a text, or a UserError "Bad value 'x' for WHAT: expected …".
 * `what` names the key and the option, like "readonly of -drive".
 */
export function readValue(type: ValueType, source: string, what: string): Scalar {
  const value = parseValue(type, source);
  if (value !== undefined) return value;
  const hint = type.kind === "choice" ? didYouMean(source, type.choices) : "";
  const shown = source.length > 80 ? `${source.slice(0, 77)}…` : source;
  throw new UserError(`Bad value '${shown}' for ${what}: expected ${expectedOf(type)}.${hint}`);
}
