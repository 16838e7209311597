// Comments say why: no banners, no history, no promises of later work.

import { type Code, violation } from "../code.ts";
import { fileRule, type Rule } from "../rule.ts";

/** In two halves, so that this file does not break its own rule. */
const PROMISES = new RegExp(
  `\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`,
);
const BANNER = /([-=*#~_─━/])\1{3,}/;
const HISTORY = new RegExp(
  [
    "previously",
    "formerly",
    "(was|were) renamed",
    "(renamed|changed|moved) from",
    "refactor(ed|ing)?",
    "(old|earlier|new) (code|version|implementation)",
    "(issue|pull request|commit) #?\\d+",
    "changelog",
  ].join("\\b|\\b"),
  "i",
);

function commentRule(name: string, pattern: RegExp, instead: string): Rule {
  return fileRule(name, ({ source, comments }: Code) =>
    comments
      .filter(({ text }) => pattern.test(text))
      .map(({ text, line }) => violation(source, line, `"${text}": ${instead}`)),
  );
}

export const commentRules: readonly Rule[] = [
  fileRule("nothing promises later work", ({ source }) =>
    source.lines.flatMap((text, index) => {
      const word = PROMISES.exec(text)?.[0];
      return word === undefined ? [] : [violation(source, index + 1, `${word}: do it, or file it`)];
    }),
  ),
  commentRule("comments are not banners", BANNER, "a blank line is enough, or another file"),
  commentRule("comments do not tell history", HISTORY, "say what is and why; git knows the rest"),
  commentRule(
    "the compiler and the linter are not silenced without a reason",
    /@ts-(ignore|nocheck|expect-error)|biome-ignore(?!.*: \w+)|zig fmt: off/,
    "mend the cause, or say the reason after a colon",
  ),
];
