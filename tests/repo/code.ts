// What the rules know about a source file, whatever its language.

import type { SourceFile } from "./source_tree.ts";

/** One line or block of comment; `line` counts from 1. */
export interface Comment {
  readonly line: number;
  readonly text: string;
}

export interface CodeFunction {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
  /** Booleans among other parameters: flags, whose meaning a call does not show. */
  readonly flags: readonly string[];
}

/** Something a file offers to others, or (Zig) declares at the level of a container. */
export interface Declaration {
  readonly name: string;
  readonly line: number;
  readonly isPublic: boolean;
  /** Types may be public for the sake of a function that takes or returns them. */
  readonly isType: boolean;
}

/** An imported module as written, with the names taken; "*" is all of them. */
export interface Import {
  readonly line: number;
  readonly module: string;
  readonly names: readonly string[];
}

/** A construct that a rule forbids, by the name of its ban. */
export interface Finding {
  readonly line: number;
  readonly kind: string;
}

export interface Code {
  readonly source: SourceFile;
  readonly comments: readonly Comment[];
  readonly functions: readonly CodeFunction[];
  readonly declarations: readonly Declaration[];
  /** What others can name in the classes of a TypeScript file. */
  readonly members: readonly Declaration[];
  readonly imports: readonly Import[];
  readonly findings: readonly Finding[];
  /** Every identifier of the code with how often it is there. */
  readonly identifiers: ReadonlyMap<string, number>;
  /** Contents of string literals, one a line. */
  readonly strings: string;
  readonly hasTests: boolean;
}

/** What a rule reports: "path:line: sentence". */
export function violation(source: SourceFile, line: number, sentence: string): string {
  return `${source.path}:${line}: ${sentence}`;
}

export function countOf(words: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
