// Rules to classic BPF (Linux Documentation/userspace-api/seccomp_filter.rst): the architecture is
// checked first, x32 calls are refused, then a binary search over the numbers leads to each call's
// own checks. Arguments are compared in their low 32 bits, which is all that the kernel looks at
// for the checked ones (int commands and flags).

import { UserError } from "../../src/errors.ts";
import type { Condition, Rule } from "./profile.ts";
import type { SeccompArchitecture } from "./system_calls.ts";

/** BPF_MAXINSNS. */
const INSTRUCTION_COUNT_MAX = 4096;

export const ACTION = {
  allow: 0x7fff_0000,
  errno: 0x0005_0000,
  trap: 0x0003_0000,
} as const;

export const AUDIT_ARCHITECTURE = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 } as const;

/** Offsets in struct seccomp_data. */
export const DATA = { number: 0, architecture: 4, arguments: 16 } as const;

export const OPCODE = {
  load: 0x20,
  and: 0x54,
  jump: 0x05,
  jumpEqual: 0x15,
  jumpGreaterOrEqual: 0x35,
  give: 0x06,
} as const;

/** struct sock_filter; jumps count from the next instruction. */
export interface Instruction {
  readonly code: number;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly operand: number;
}

type Code = readonly Instruction[];

const X32_BIT = 0x4000_0000;
const JUMP_MAX = 255;

function step(code: number, operand: number): Instruction {
  return { code, whenTrue: 0, whenFalse: 0, operand };
}

const trap: Code = [step(OPCODE.give, ACTION.trap)];

/** The filter for these rules; what they do not allow raises SIGSYS. */
export function assemble(rules: readonly Rule[], architecture: SeccompArchitecture): Instruction[] {
  const byNumber = new Map<number, Rule[]>();
  for (const rule of rules) {
    byNumber.set(rule.number, [...(byNumber.get(rule.number) ?? []), rule]);
  }
  const entries = [...byNumber].map(([key, group]) => ({ key, body: callCode(group) }));
  const refuseX32 =
    architecture === "x86_64" ? compare("jumpGreaterOrEqual", X32_BIT, trap, []) : [];
  const code = [
    step(OPCODE.load, DATA.architecture),
    ...compare("jumpEqual", AUDIT_ARCHITECTURE[architecture], [], trap),
    step(OPCODE.load, DATA.number),
    ...refuseX32,
    ...search(entries, trap),
  ];
  if (code.length > INSTRUCTION_COUNT_MAX) {
    throw new UserError(
      `the filter needs ${code.length} instructions, the kernel takes ${INSTRUCTION_COUNT_MAX}`,
    );
  }
  return code;
}

/** The bytes that the kernel takes. */
export function encodeProgram(code: Code): Uint8Array {
  const view = new DataView(new ArrayBuffer(code.length * 8));
  code.forEach((instruction, position) => {
    view.setUint16(position * 8, instruction.code, true);
    view.setUint8(position * 8 + 2, instruction.whenTrue);
    view.setUint8(position * 8 + 3, instruction.whenFalse);
    view.setUint32(position * 8 + 4, instruction.operand, true);
  });
  return new Uint8Array(view.buffer);
}

/**
 * Runs `whenTrue` or `whenFalse`, one of which may be empty, meaning the code that follows. Both
 * must end by giving an action if the other is not empty.
 */
function compare(
  operation: "jumpEqual" | "jumpGreaterOrEqual",
  operand: number,
  whenTrue: Code,
  whenFalse: Code,
): Code {
  const first = whenTrue.length;
  if (first > JUMP_MAX) {
    const head = { code: OPCODE[operation], whenTrue: 1, whenFalse: 0, operand };
    return [head, step(OPCODE.jump, first), ...whenTrue, ...whenFalse];
  }
  if (first === 0) {
    const head = { code: OPCODE[operation], whenTrue: whenFalse.length, whenFalse: 0, operand };
    return [head, ...whenFalse];
  }
  const head = { code: OPCODE[operation], whenTrue: 0, whenFalse: first, operand };
  return [head, ...whenTrue, ...whenFalse];
}

interface Entry {
  readonly key: number;
  readonly body: Code;
}

/** Binary search for the accumulator's value among the keys; each path gives an action. */
function search(entries: readonly Entry[], otherwise: Code): Code {
  const sorted = [...entries].sort((a, b) => a.key - b.key);
  const only = sorted[0];
  if (only === undefined) return otherwise;
  if (sorted.length === 1) return compare("jumpEqual", only.key, only.body, otherwise);
  const middle = sorted.length >> 1;
  const upper = sorted.slice(middle);
  const pivot = upper[0]?.key ?? 0;
  return compare(
    "jumpGreaterOrEqual",
    pivot,
    search(upper, otherwise),
    search(sorted.slice(0, middle), otherwise),
  );
}

/** Alternatives of one call, in order; the last one's failure traps. */
function callCode(rules: readonly Rule[]): Code {
  return mergeSets(rules).reduceRight<Code>((otherwise, rule) => ruleCode(rule, otherwise), trap);
}

/** Rules that only differ in the values of one argument become one rule: one search. */
function mergeSets(rules: readonly Rule[]): Rule[] {
  const merged: Rule[] = [];
  for (const rule of rules) {
    const values = onlySet(rule);
    const place = merged.findIndex((other) => values && onlySet(other)?.index === values.index);
    const other = merged[place];
    const before = other && onlySet(other);
    if (values === undefined || other === undefined || before === undefined) {
      merged.push(rule);
      continue;
    }
    const union = [...new Set([...before.values, ...values.values])];
    merged[place] = { ...other, conditions: [{ ...before, values: union }] };
  }
  return merged;
}

function onlySet(rule: Rule) {
  const [only, ...others] = rule.conditions;
  const plain = others.length === 0 && rule.errno === undefined;
  return plain && only?.op === "one_of" ? only : undefined;
}

function ruleCode(rule: Rule, otherwise: Code): Code {
  const action = rule.errno === undefined ? ACTION.allow : ACTION.errno | rule.errno;
  const done: Code = [step(OPCODE.give, action)];
  return rule.conditions.reduceRight<Code>(
    (inner, condition) => conditionCode(condition, inner, otherwise),
    done,
  );
}

function conditionCode(condition: Condition, inner: Code, otherwise: Code): Code {
  const load = step(OPCODE.load, DATA.arguments + 8 * condition.index);
  switch (condition.op) {
    case "masked_eq":
      return [
        load,
        step(OPCODE.and, condition.mask),
        ...compare("jumpEqual", condition.value, inner, otherwise),
      ];
    case "one_of":
      return [
        load,
        ...search(
          condition.values.map((key) => ({ key, body: inner })),
          otherwise,
        ),
      ];
  }
}
