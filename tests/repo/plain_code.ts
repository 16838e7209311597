// Reads files of other languages for the rules: only their comments and words are known.

import { type Code, type Comment, countOf } from "./code.ts";
import type { Language, SourceFile } from "./source_tree.ts";

const COMMENTS: Readonly<Partial<Record<Language, RegExp>>> = {
  shell: /^\s*#.*/,
  python: /^\s*#.*/,
  "c++": /\/\/.*/,
};

export function readPlain(source: SourceFile): Code {
  const pattern = COMMENTS[source.language];
  const comments: Comment[] = source.lines.flatMap((text, index) => {
    const found = pattern?.exec(text)?.[0].trim();
    return found === undefined ? [] : [{ line: index + 1, text: found }];
  });
  return {
    source,
    comments,
    functions: [],
    declarations: [],
    members: [],
    imports: [],
    findings: [],
    identifiers: countOf(source.text.match(/[A-Za-z_]\w*/g) ?? []),
    strings: source.text,
    hasTests: false,
  };
}
