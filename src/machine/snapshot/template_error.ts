// Sentences about a template that cannot be used.

import { UserError } from "../../errors.ts";

/** Damage: nothing but a new template helps. */
export function damaged(path: string, what: string): UserError {
  return new UserError(
    `The template's file '${path}' is damaged: ${what}; save the machine again.`,
  );
}

/** Too few bytes, or too many. */
export function wrongSize(path: string, size: number, expected: number): UserError {
  const what = size < expected ? "cut short" : "too long";
  const bytes = `it has ${size} bytes, not ${expected}`;
  return new UserError(
    `The template's file '${path}' is ${what}: ${bytes}; save the machine again.`,
  );
}

export function foreign(path: string, kind: string): UserError {
  return new UserError(
    `The file '${path}' is not the ${kind} of a template of this program; ` +
      "name a folder to which 'migrate' has saved a machine.",
  );
}

export function newer(path: string, version: number, known: number): UserError {
  return new UserError(
    `The template's file '${path}' has the format ${version}, but this program knows ${known}; ` +
      "use the program that saved it, or save the machine again.",
  );
}
