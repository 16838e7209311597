// Sizes and names: how long files, functions and lines may be, and how files are called.

import { violation } from "../code.ts";
import { fileRule, type Rule, withoutExcepted } from "../rule.ts";
import { FLAGS } from "./zig_exceptions.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 60;
const LINE_COLUMNS_MAX = 100;
const FIRST_COMMENT_LINES_MAX = 5;

const FILE_NAME = /^[a-z0-9_]+(\.test|\.case)?(\.[a-z]+)?$/;

/** Data files say nothing about themselves. */
const FIRST_COMMENT = { typescript: "//", zig: "//!", "c++": "//", shell: "#", python: "#" };

export const shapeRules: readonly Rule[] = [
  fileRule(`a file has at most ${FILE_LINES_MAX} lines`, ({ source }) =>
    source.lines.length <= FILE_LINES_MAX
      ? []
      : [violation(source, 1, `${source.lines.length} lines: split it by idea`)],
  ),
  fileRule(`a function has at most ${FUNCTION_LINES_MAX} lines`, ({ source, functions }) =>
    functions
      .filter(({ lineCount }) => lineCount > FUNCTION_LINES_MAX)
      .map(({ name, line, lineCount }) => violation(source, line, `${name}: ${lineCount} lines`)),
  ),
  fileRule(`a line has at most ${LINE_COLUMNS_MAX} columns`, ({ source }) =>
    source.lines.flatMap((text, index) => {
      const columns = [...text].length;
      const isTooLong = source.language !== "data" && columns > LINE_COLUMNS_MAX;
      return isTooLong ? [violation(source, index + 1, `${columns} columns`)] : [];
    }),
  ),
  fileRule("file names are snake_case", ({ source }) =>
    source.path
      .split("/")
      .filter((name) => !FILE_NAME.test(name))
      .map((name) => violation(source, 1, `${name} is not snake_case`)),
  ),
  fileRule("the first comment says what the file is for, in few lines", ({ source }) => {
    if (source.language === "data") return [];
    const mark = FIRST_COMMENT[source.language];
    const lines = source.lines.slice(source.lines[0]?.startsWith("#!") ? 1 : 0);
    const end = lines.findIndex((text) => !text.startsWith(mark));
    const count = end < 0 ? lines.length : end;
    if (count === 0) return [violation(source, 1, `begin with "${mark}" and what it is for`)];
    if (count <= FIRST_COMMENT_LINES_MAX) return [];
    return [violation(source, 1, `${count} lines: at most ${FIRST_COMMENT_LINES_MAX}`)];
  }),
  {
    name: "no parameter is a flag",
    check: (project) => {
      const found = project.flatMap(({ source, functions }) =>
        functions.flatMap(({ name, line, flags }) =>
          flags.map((flag) => {
            const text = `${name}: ${flag} should be an enum or an option's name`;
            return { source, line, text };
          }),
        ),
      );
      return withoutExcepted(found, FLAGS);
    },
  },
];
