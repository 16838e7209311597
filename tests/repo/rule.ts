// What a rule of the style guide is, and how a file is excepted from one: by path, with the reason.

import { type Code, violation } from "./code.ts";
import type { SourceFile } from "./source_tree.ts";

export interface Rule {
  /** A sentence, as tests are named. */
  readonly name: string;
  /** One line, "path:line: sentence", for each violation. */
  readonly check: (project: readonly Code[]) => string[];
}

/** Reasons by path; a path that ends with a slash stands for the folder. */
export type Exceptions = Readonly<Record<string, string>>;

/** A rule that looks at one file at a time. */
export function fileRule(name: string, check: (code: Code) => string[]): Rule {
  return { name, check: (project) => project.flatMap(check) };
}

function covers(exception: string, path: string): boolean {
  return path === exception || (exception.endsWith("/") && path.startsWith(exception));
}

function isExcepted(source: SourceFile, exceptions: Exceptions): boolean {
  return Object.keys(exceptions).some((exception) => covers(exception, source.path));
}

/** Violations outside the excepted paths, and the exceptions that nothing needs. */
export function withoutExcepted(
  found: readonly { readonly source: SourceFile; readonly line: number; readonly text: string }[],
  exceptions: Exceptions,
): string[] {
  const spare = Object.keys(exceptions).filter(
    (exception) => !found.some(({ source }) => covers(exception, source.path)),
  );
  return [
    ...found
      .filter(({ source }) => !isExcepted(source, exceptions))
      .map(({ source, line, text }) => violation(source, line, text)),
    ...spare.map((path) => `${path}: is excepted from this rule, but does not need to be`),
  ];
}

/** Test and fuzz code of the data plane, which stands above what it drives. */
export function isZigTest(path: string): boolean {
  return /(_test|_fuzz|\/tests|\/test_\w+|\/fuzz_\w+|\/fuzz\/\w+)\.zig$/.test(path);
}
