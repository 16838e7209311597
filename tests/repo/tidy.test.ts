// The style guide, executed over every source of the project. CONTRIBUTING.md says it in words.

import { describe, expect, test } from "bun:test";
import { figuresOf } from "./figures.ts";
import { banRules } from "./rules/bans.ts";
import { commentRules } from "./rules/comments.ts";
import { deadCodeRules } from "./rules/dead_code.ts";
import { layerRules } from "./rules/layers.ts";
import { shapeRules } from "./rules/shape.ts";
import { readProject } from "./tidy.ts";

const project = await readProject();
const deadCode = await deadCodeRules(project);

describe.each([
  ["shape", shapeRules],
  ["comments", commentRules],
  ["bans", banRules],
  ["layers", layerRules],
  ["dead code", deadCode],
] as const)("%s", (_, rules) => {
  test.each(rules.map(({ name, check }) => [name, check] as const))("%s", (_, check) => {
    expect(check(project)).toEqual([]);
  });
});

test("there are sources, and their figures are worth a look", () => {
  const figures = figuresOf(project);
  console.log(figures.text);
  expect(figures.fileCount).toBeGreaterThan(100);
});
