// Reads a Zig file for the rules: containers, functions, tests and imports from its tokens.

import {
  type Code,
  type CodeFunction,
  countOf,
  type Declaration,
  type Finding,
  type Import,
} from "./code.ts";
import type { SourceFile } from "./source_tree.ts";
import { type Token, tokensOf } from "./zig_tokens.ts";

const OPENING: Readonly<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };
const MARKS = ["pub", "export", "extern", "inline", "noinline", "threadlocal"];
const CONTAINERS = new Set(["struct", "enum", "union", "opaque"]);

/** Tokens without comments, and where each bracket ends. */
class Tokens {
  readonly all: readonly Token[];
  readonly #ends = new Map<number, number>();
  readonly #starts = new Map<number, number>();

  constructor(all: readonly Token[]) {
    this.all = all;
    const open: number[] = [];
    all.forEach(({ kind, text }, index) => {
      if (kind !== "sign") return;
      if (text in OPENING) open.push(index);
      if (!Object.values(OPENING).includes(text)) return;
      const start = open.pop() ?? 0;
      this.#ends.set(start, index);
      this.#starts.set(index, start);
    });
  }

  text(index: number): string {
    return this.all[index]?.text ?? "";
  }

  /** The word at `index` without the quotes that keywords need as names. */
  name(index: number): string {
    return bareName(this.text(index));
  }

  line(index: number): number {
    return this.all[index]?.line ?? 0;
  }

  /** The index of the bracket that closes the one at `index`. */
  end(index: number): number {
    return this.#ends.get(index) ?? this.all.length - 1;
  }

  /** The word before a brace that says what it opens, as in `enum(u32) {`. */
  openerOf(brace: number): string {
    const before = brace - 1;
    const isParenthesis = this.text(before) === ")";
    return this.text(isParenthesis ? (this.#starts.get(before) ?? 0) - 1 : before);
  }

  isContainer(brace: number): boolean {
    return this.text(brace) === "{" && CONTAINERS.has(this.openerOf(brace));
  }
}

function bareName(text: string): string {
  return text.startsWith('@"') ? text.slice(2, -1) : text;
}

/** Everything that the rules ask about a Zig file. */
export function readZig(source: SourceFile): Code {
  const everything = tokensOf(source.text);
  const tokens = new Tokens(everything.filter(({ kind }) => kind !== "comment"));
  const words = tokens.all.filter(({ kind }) => kind === "word").map(({ text }) => bareName(text));
  const strings = tokens.all.filter(({ kind }) => kind === "string").map(({ text }) => text);
  const declared = containerDeclarations(tokens);
  return {
    source,
    comments: everything.filter(({ kind }) => kind === "comment"),
    functions: functionsOf(tokens),
    declarations: declared.declarations,
    members: [],
    imports: importsOf(tokens),
    findings: [...declared.findings, ...findingsOf(tokens)],
    identifiers: countOf(words),
    strings: strings.join("\n"),
    hasTests: declared.hasTests,
  };
}

function functionsOf(tokens: Tokens): CodeFunction[] {
  const functions: CodeFunction[] = [];
  tokens.all.forEach(({ text, kind, line }, index) => {
    const isTest =
      text === "test" && (tokens.text(index + 1) === "{" || isNamedTest(tokens, index));
    if (kind !== "word" || !(isTest || text === "fn")) return;
    const body = isTest ? index + (tokens.text(index + 1) === "{" ? 1 : 2) : bodyOf(tokens, index);
    // A function that returns a type is a container with parameters: its functions count.
    if (body === undefined || tokens.text(body - 1) === "type") return;
    functions.push({
      name: isTest ? `test ${tokens.text(index + 1)}` : tokens.text(index + 1),
      line,
      lineCount: tokens.line(tokens.end(body)) - line + 1,
      flags: isTest ? [] : flagsOf(tokens, index + 2),
    });
  });
  return functions;
}

function isNamedTest(tokens: Tokens, index: number): boolean {
  return tokens.all[index + 1]?.kind === "string" && tokens.text(index + 2) === "{";
}

/** The brace that opens the body of the `fn` at `index`; undefined for a type of function. */
function bodyOf(tokens: Tokens, index: number): number | undefined {
  if (tokens.text(index + 2) !== "(") return undefined;
  for (let at = tokens.end(index + 2) + 1; at < tokens.all.length; at += 1) {
    const text = tokens.text(at);
    if (text === ";") return undefined;
    const isType = tokens.isContainer(at) || tokens.text(at - 1) === "error";
    if (text === "{" && !isType) return at;
    if (text in OPENING) at = tokens.end(at);
  }
  return undefined;
}

/** Boolean parameters beside others; `self` is none. */
function flagsOf(tokens: Tokens, open: number): string[] {
  const names: string[] = [];
  let otherCount = tokens.text(open + 1) === "self" ? -1 : 0;
  for (let at = open + 1; at < tokens.end(open); at += 1) {
    if (tokens.text(at) in OPENING) at = tokens.end(at);
    const isLast = [",", ")"].includes(tokens.text(at + 1));
    const isFlag = tokens.text(at) === "bool" && tokens.text(at - 1) === ":" && isLast;
    if (isFlag) names.push(tokens.text(at - 2));
    else if (tokens.text(at) === ":") otherCount += 1;
  }
  return otherCount > names.length ? names : [];
}

function importsOf(tokens: Tokens): Import[] {
  return tokens.all.flatMap(({ text, line }, index) => {
    const module = tokens.text(index + 2).slice(1, -1);
    return text === "@import" ? [{ line, module, names: ["*"] }] : [];
  });
}

interface Declared {
  readonly declarations: Declaration[];
  readonly findings: Finding[];
  hasTests: boolean;
}

/** Declarations of the file and of every container in it, also of those inside functions. */
function containerDeclarations(tokens: Tokens): Declared {
  const declared: Declared = { declarations: [], findings: [], hasTests: false };
  const ends: { readonly end: number; readonly isContainer: boolean; readonly isApi: boolean }[] =
    [];
  tokens.all.forEach(({ text, kind, line }, index) => {
    while ((ends.at(-1)?.end ?? index) < index) ends.pop();
    if (text in OPENING && kind === "sign") {
      const isApi = ["const", "api", "=", "struct"].every(
        (word, offset) => tokens.text(index - 4 + offset) === word,
      );
      ends.push({ end: tokens.end(index), isContainer: tokens.isContainer(index), isApi });
    }
    if (kind !== "word" || !(ends.at(-1)?.isContainer ?? true)) return;
    if (text === "test") declared.hasTests = true;
    const isFunctionType = text === "fn" && tokens.text(index + 1) === "(";
    if (!["fn", "const", "var"].includes(text) || isFunctionType) return;
    if (tokens.text(index - 1) === "*" || tokens.text(index - 1) === "]") return;
    const name = tokens.name(index + 1);
    const marks = marksBefore(tokens, index);
    // The linker uses what is exported, also by a container `api`, and gives what is extern.
    const isLinked = marks.includes("export") || marks.includes("extern") || ends.at(-1)?.isApi;
    if (isLinked !== true) {
      const isPublic = marks.includes("pub");
      declared.declarations.push({ name, line, isPublic, isType: /^[A-Z]/.test(name) });
    }
    if (text === "var") declared.findings.push({ line, kind: "global variable" });
  });
  return declared;
}

function marksBefore(tokens: Tokens, index: number): string[] {
  const marks: string[] = [];
  for (let at = index - 1; MARKS.includes(tokens.text(at)); at -= 1) marks.push(tokens.text(at));
  return marks;
}

/** Runs of tokens that are banned, by the name of the ban. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  "std.debug.print": ["std", ".", "debug", ".", "print"],
  "catch unreachable": ["catch", "unreachable"],
  "orelse unreachable": ["orelse", "unreachable"],
  anyopaque: ["anyopaque"],
  "std.fs": ["std", ".", "fs", ".", "cwd"],
  "std.Io": ["std", ".", "Io"],
  "std.posix": ["std", ".", "posix"],
  "@cImport": ["@cImport"],
  "catch {}": ["catch", "{", "}"],
  "callconv(.c)": ["callconv", "(", ".", "c", ")"],
  export: ["export"],
  "@export": ["@export"],
};

function findingsOf(tokens: Tokens): Finding[] {
  return tokens.all.flatMap(({ line }, index) =>
    Object.entries(RUNS)
      .filter(([, run]) => run.every((text, offset) => tokens.text(index + offset) === text))
      // What prints text into a buffer does nothing to the host.
      .filter(([kind]) => kind !== "std.Io" || tokens.text(index + 4) !== "Writer")
      .map(([kind]) => ({ line, kind })),
  );
}
