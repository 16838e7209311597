// Lists of numbers and ranges like 0-3:6 (the cpus of a node, the host's nodes).

import { UserError } from "../errors.ts";

/** A declared list of numbers, which the reader has checked for its form. */
export interface NumberListUse {
  readonly source: string;
  /** Where it stands: "cpus of -numa node". */
  readonly what: string;
  /** The largest number that makes sense, and what it is the last of: "processor". */
  readonly max: number;
  readonly unit: string;
}

/** The numbers in the order given; a UserError for a backward range, a repeat or a large one. */
export function readNumberList({ source, what, max, unit }: NumberListUse): number[] {
  const numbers: number[] = [];
  for (const part of source.replace(/^\[|\]$/g, "").split(":")) {
    const [first = Number.NaN, last = first] = part.split("-").map(Number);
    if (last < first) {
      throw new UserError(
        `The range '${part}' in ${what} runs backwards: write '${last}-${first}'.`,
      );
    }
    if (last > max) {
      throw new UserError(`The ${unit} ${last} in ${what} does not exist: the last is ${max}.`);
    }
    for (let number = first; number <= last; number += 1) numbers.push(number);
  }
  const repeated = numbers.find((number, index) => numbers.indexOf(number) !== index);
  if (repeated !== undefined) {
    throw new UserError(`The ${unit} ${repeated} is listed twice in ${what}; list it once.`);
  }
  return numbers;
}
