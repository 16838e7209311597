// The sentence for a step that failed: what could not be done, why, and what helps.

import { UserError } from "../errors.ts";
import { describeOperation, JailCallError } from "./jail_calls.ts";
import { describeStep, type Step } from "./step.ts";

const reasons: Readonly<Record<string, string>> = {
  E2BIG: "its arguments are too long",
  EACCES: "access is denied",
  EBUSY: "it is in use",
  EEXIST: "it exists",
  EINVAL: "the kernel does not take the value",
  ENODEV: "there is no such device",
  ENOENT: "it does not exist",
  ENOEXEC: "it is not an executable for this machine",
  ENOSPC: "there is no room left",
  EPERM: "it is not permitted; run ozone as root with all capabilities",
  ERANGE: "the value is out of range",
  EROFS: "the file system is read-only; mount it writable",
};

function hintOf(step: Step, code: string): string | undefined {
  switch (step.kind) {
    case "enableControllers":
      return code === "EBUSY"
        ? "processes live in that group; move them to a group below it, or delegate the controllers"
        : "the controllers are not delegated to this group; enable them in the groups above it";
    case "setGroupValue":
      return code === "EINVAL" || code === "ERANGE" || code === "EACCES" || code === "ENOSPC"
        ? "the control groups above do not allow the value; see their file of the same name"
        : undefined;
    case "joinNetwork":
      return code === "EINVAL" ? "it is not a network namespace" : undefined;
    default:
      return undefined;
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? String(error);
}

function reasonOf(code: string): string {
  const known = reasons[code];
  return known === undefined ? code : `${known} (${code})`;
}

/** The error to show for a step of the plan. */
export function stepFailure(step: Step, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const code = codeOf(error);
  const hint = hintOf(step, code);
  const reason = hint === undefined ? reasonOf(code) : `${hint} (${code})`;
  return new UserError(`Cannot ${describeStep(step)}: ${reason}.`);
}

/** The error to show for what happens between the last step and the program's first instruction. */
export function enterFailure(error: unknown, program: string): UserError {
  if (!(error instanceof JailCallError)) {
    return new UserError(`Cannot start ${program} in the jail: ${reasonOf(codeOf(error))}.`);
  }
  return new UserError(
    `Cannot start ${program} in the jail: cannot ${describeOperation(error)}: ` +
      `${reasonOf(error.code)}.`,
  );
}
