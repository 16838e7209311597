// The values of -cgroup: `cpuset.cpus=4-5 memory.limit_in_bytes=1000000`, as words or with commas
// (the guidebook has both); the names of cgroup v2 mean the same.

import { UserError } from "../errors.ts";
import { didYouMean } from "../options/suggest.ts";

export interface GroupLimits {
  /** A list like 0-3,6. */
  readonly cpus: string | undefined;
  readonly memoryBytes: bigint | undefined;
}

const cpusNames = ["cpuset.cpus"];
const memoryNames = ["memory.limit_in_bytes", "memory.max"];
const known = [...cpusNames, ...memoryNames];
const unitShift: Readonly<Record<string, bigint>> = { "": 0n, K: 10n, M: 20n, G: 30n };

function checkCpus(value: string): string {
  if (/^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$/.test(value)) return value;
  const expected = "processor numbers and ranges, like 4-5 or 0,2-3";
  throw new UserError(`Bad value '${value}' for cpuset.cpus of -cgroup: expected ${expected}.`);
}

function bytesOf(name: string, value: string): bigint {
  const [, digits, unit = ""] = /^([1-9]\d{0,17})([KMG]?)$/i.exec(value) ?? [];
  if (digits !== undefined) return BigInt(digits) << (unitShift[unit.toUpperCase()] ?? 0n);
  const expected = "a number of bytes above 0, or with a unit like 512M";
  throw new UserError(`Bad value '${value}' for ${name} of -cgroup: expected ${expected}.`);
}

/** `k=v` parts; a comma before something without an equals sign belongs to the value. */
function partsOf(word: string): string[] {
  const parts: string[] = [];
  for (const part of word.split(",")) {
    const last = parts.at(-1);
    if (part.includes("=") || last === undefined) parts.push(part);
    else parts[parts.length - 1] = `${last},${part}`;
  }
  return parts.map((part) => part.replace(/,+$/, "")).filter((part) => part !== "");
}

/** Reads all words of -cgroup. Throws a UserError for unknown, repeated and bad values. */
export function parseGroupLimits(words: readonly string[]): GroupLimits {
  let cpus: string | undefined;
  let memoryBytes: bigint | undefined;
  for (const part of words.flatMap(partsOf)) {
    const [name = "", value = ""] = part.split("=", 2);
    if (cpusNames.includes(name) && cpus === undefined) {
      cpus = checkCpus(value);
    } else if (memoryNames.includes(name) && memoryBytes === undefined) {
      memoryBytes = bytesOf(name, value);
    } else if (known.includes(name)) {
      throw new UserError(`The key '${name}' of -cgroup is given twice.`);
    } else {
      const list = `Known keys: ${known.join(", ")}.`;
      throw new UserError(`Unknown key '${name}' of -cgroup.${didYouMean(name, known, list)}`);
    }
  }
  return { cpus, memoryBytes };
}
