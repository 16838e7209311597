// Reads seccomp-profiles/: what a kind of thread may call on one architecture. The process's
// filter lies under those of the core's threads, so "main" takes in the rules of the other kinds.

import { join } from "node:path";
import * as v from "valibot";
import { UserError } from "../../src/errors.ts";
import { checkout } from "../lib/paths.ts";
import { constantValue } from "./constants.ts";
import { type SeccompArchitecture, systemCallNumber } from "./system_calls.ts";

export const ARCHITECTURES = ["x86_64", "aarch64"] as const;
export const THREAD_KINDS = ["main", "vcpu", "iothread"] as const;
export type ThreadKind = (typeof THREAD_KINDS)[number];
/** The static file carries musl; the program run by an installed Bun has glibc, too. */
export const VARIANTS = ["static", "development"] as const;
export type Variant = (typeof VARIANTS)[number];

const value = v.union([v.string(), v.pipe(v.number(), v.integer(), v.minValue(0))]);
const index = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(5));

const argumentSchema = v.variant("op", [
  v.strictObject({ index, op: v.literal("eq"), value }),
  v.strictObject({ index, op: v.literal("masked_eq"), mask: value, value }),
  v.strictObject({
    index,
    op: v.literal("one_of"),
    values: v.pipe(v.array(value), v.minLength(1)),
  }),
]);

const ruleSchema = v.strictObject({
  syscall: v.string(),
  arguments: v.optional(v.pipe(v.array(argumentSchema), v.minLength(1))),
  /** Answers with this error instead of allowing. */
  errno: v.optional(v.string()),
  /** Only where the program runs with glibc. */
  libc: v.optional(v.literal("glibc")),
  reason: v.optional(v.string()),
});

const profileSchema = v.strictObject({ rules: v.array(ruleSchema) });

/** A condition on the low 32 bits of one argument. */
export type Condition =
  | {
      readonly index: number;
      readonly op: "masked_eq";
      readonly mask: number;
      readonly value: number;
    }
  | { readonly index: number; readonly op: "one_of"; readonly values: readonly number[] };

export interface Rule {
  readonly syscall: string;
  readonly number: number;
  /** All must hold; none: always. */
  readonly conditions: readonly Condition[];
  /** Undefined: allowed. */
  readonly errno: number | undefined;
  readonly reason: string | undefined;
}

export interface ProfileKey {
  readonly architecture: SeccompArchitecture;
  readonly kind: ThreadKind;
  readonly variant: Variant;
  /** Of a machine with vhost-user devices, whose threads connect to the processes behind them. */
  readonly backEnds?: true;
}

/** Every filter that is made. */
export function everyProfile(): ProfileKey[] {
  return ARCHITECTURES.flatMap((architecture) =>
    VARIANTS.flatMap((variant) => profilesOf(architecture, variant)),
  );
}

/** The filters of one build; a vCPU never talks to a back end. */
export function profilesOf(architecture: SeccompArchitecture, variant: Variant): ProfileKey[] {
  return THREAD_KINDS.flatMap((kind): ProfileKey[] => {
    const key = { architecture, variant, kind };
    return kind === "vcpu" ? [key] : [key, { ...key, backEnds: true }];
  });
}

/** "main", or "mainWithBackEnds". */
export function profileName({ kind, backEnds }: ProfileKey): string {
  return backEnds === true ? `${kind}WithBackEnds` : kind;
}

/** The rules of one filter, those of all files that it is made of. Throws a UserError. */
export async function readProfile(key: ProfileKey): Promise<Rule[]> {
  const kinds = key.kind === "main" ? THREAD_KINDS : [key.kind];
  const more = key.backEnds === true ? ["vhost_user"] : [];
  const files = ["common", ...kinds.map((kind) => `${key.architecture}/${kind}`), ...more];
  const rules = await Promise.all(files.map((file) => readFile(file, key)));
  return rules.flat();
}

/** How many different calls the rules allow. */
export function allowedCount(rules: readonly Rule[]): number {
  const allowed = rules.filter((rule) => rule.errno === undefined);
  return new Set(allowed.map((rule) => rule.syscall)).size;
}

async function readFile(name: string, key: ProfileKey): Promise<Rule[]> {
  const file = `seccomp-profiles/${name}.json`;
  const parsed = v.safeParse(profileSchema, await Bun.file(join(checkout, file)).json());
  if (!parsed.success) {
    const issue = parsed.issues[0];
    throw new UserError(`${file}: ${v.getDotPath(issue) ?? "the file"}: ${issue.message}`);
  }
  return parsed.output.rules
    .filter((rule) => rule.libc === undefined || key.variant === "development")
    .map((rule) => resolveRule(rule, file, key.architecture));
}

function resolveRule(
  rule: v.InferOutput<typeof ruleSchema>,
  file: string,
  architecture: SeccompArchitecture,
): Rule {
  const number = systemCallNumber(rule.syscall, architecture);
  if (number === undefined) {
    throw new UserError(`${file}: ${architecture} has no known system call "${rule.syscall}"`);
  }
  const resolve = (text: string | number) => resolveValue(text, rule.syscall, file);
  return {
    syscall: rule.syscall,
    number,
    conditions: (rule.arguments ?? []).map((argument) => resolveArgument(argument, resolve)),
    errno: rule.errno === undefined ? undefined : resolve(rule.errno),
    reason: rule.reason,
  };
}

function resolveArgument(
  argument: v.InferOutput<typeof argumentSchema>,
  resolve: (text: string | number) => number,
): Condition {
  const { index: position } = argument;
  switch (argument.op) {
    case "eq":
      return { index: position, op: "one_of", values: [resolve(argument.value)] };
    case "masked_eq": {
      const mask = resolve(argument.mask);
      return { index: position, op: "masked_eq", mask, value: resolve(argument.value) };
    }
    case "one_of":
      return { index: position, op: "one_of", values: argument.values.map(resolve) };
  }
}

function resolveValue(text: string | number, call: string, file: string): number {
  const found = constantValue(text);
  if (found === undefined) {
    throw new UserError(`${file}: the rule for ${call} names the unknown value "${text}"`);
  }
  return found;
}
