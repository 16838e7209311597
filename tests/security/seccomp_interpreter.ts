// Runs a filter as the kernel would, for the instructions that filters are made of.

import {
  ACTION,
  AUDIT_ARCHITECTURE,
  assemble,
  DATA,
  type Instruction,
  OPCODE,
} from "../../scripts/seccomp/assemble.ts";
import { constantValue } from "../../scripts/seccomp/constants.ts";
import {
  type Condition,
  type ProfileKey,
  type Rule,
  readProfile,
  type ThreadKind,
} from "../../scripts/seccomp/profile.ts";
import { type SeccompArchitecture, systemCallNumber } from "../../scripts/seccomp/system_calls.ts";
import type { FilterScope } from "../../src/host/seccomp.ts";

export interface SystemCall {
  readonly auditArchitecture: number;
  readonly number: number;
  readonly arguments?: readonly number[];
}

export type Decision = "allow" | "trap" | `errno ${number}`;

/** What the filter decides; throws when the program does what the kernel's checker would refuse. */
export function decide(program: readonly Instruction[], call: SystemCall): Decision {
  let accumulator = 0;
  for (let position = 0; position < program.length; ) {
    const instruction = program[position];
    if (instruction === undefined) break;
    const { code, operand } = instruction;
    position += 1;
    switch (code) {
      case OPCODE.load:
        accumulator = loadWord(call, operand);
        break;
      case OPCODE.and:
        accumulator = (accumulator & operand) >>> 0;
        break;
      case OPCODE.jump:
        position += operand;
        break;
      case OPCODE.jumpEqual:
        position += accumulator === operand ? instruction.whenTrue : instruction.whenFalse;
        break;
      case OPCODE.jumpGreaterOrEqual:
        position += accumulator >= operand ? instruction.whenTrue : instruction.whenFalse;
        break;
      case OPCODE.give:
        return decisionOf(operand);
      default:
        throw new Error(`instruction ${position - 1} has the unknown code ${code}`);
    }
  }
  throw new Error("the program ran past its end");
}

/** Words of struct seccomp_data, little endian. */
function loadWord(call: SystemCall, offset: number): number {
  switch (offset) {
    case DATA.number:
      return call.number;
    case DATA.architecture:
      return call.auditArchitecture;
    default:
      return (call.arguments?.[(offset - DATA.arguments) / 8] ?? 0) >>> 0;
  }
}

function decisionOf(value: number): Decision {
  switch ((value & 0xffff_0000) >>> 0) {
    case ACTION.allow:
      return "allow";
    case ACTION.trap:
      return "trap";
    case ACTION.errno:
      return `errno ${value & 0xffff}`;
    default:
      throw new Error(`${value} is not an action`);
  }
}

/** Arguments that the conditions accept. */
export function acceptedArguments(conditions: readonly Condition[]): number[] {
  const values = [0, 0, 0, 0, 0, 0];
  for (const condition of conditions) {
    values[condition.index] =
      condition.op === "masked_eq" ? condition.value : (condition.values[0] ?? 0);
  }
  return values;
}

/** What a call that meets the rule's conditions must get. */
export function decisionAskedFor(rule: Rule): Decision {
  return rule.errno === undefined ? "allow" : `errno ${rule.errno}`;
}

/** Decides calls by name for one filter. */
export async function decider(
  kind: ThreadKind,
  architecture: SeccompArchitecture,
  scope: FilterScope = "alone",
) {
  const key: ProfileKey = { architecture, kind, variant: "static" };
  const rules = await readProfile(scope === "alone" ? key : { ...key, backEnds: true });
  const program = assemble(rules, architecture);
  return (name: string, ...values: (string | number)[]) =>
    decide(program, {
      auditArchitecture: AUDIT_ARCHITECTURE[architecture],
      number: systemCallNumber(name, architecture) ?? Number.NaN,
      arguments: values.map((value) => constantValue(value) ?? Number.NaN),
    });
}

/** This computer's processor. */
export function processorName(): SeccompArchitecture {
  return process.arch === "x64" ? "x86_64" : "aarch64";
}
