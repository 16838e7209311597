// Nothing is declared that nobody uses, no file is left that nobody names, and every unit test of
// the data plane is run.

import { basename } from "node:path";
import { type Code, type Declaration, violation } from "../code.ts";
import type { Rule } from "../rule.ts";
import { resolveImport } from "./layers.ts";

/** Names that the compiler or the C library looks for. */
const CALLED_BY_NAME = ["main", "panic", "std_options", "_start", "build"];
/** Its functions are exported by name and its tables are read by the generator. */
const ABI = "zig/abi";

/** For each file, the names that others take from it; "*" stands for any that they mention. */
function takenNames(project: readonly Code[]): Map<string, Set<string>> {
  const taken = new Map<string, Set<string>>();
  for (const code of project) {
    for (const each of code.imports) {
      const target = resolveImport(code, each);
      const names = taken.get(target) ?? new Set();
      const mentioned = each.names.includes("*") ? code.identifiers.keys() : each.names;
      for (const name of mentioned) names.add(name);
      taken.set(target, names);
    }
  }
  return taken;
}

function totalOf(project: readonly Code[], language: string): Map<string, number> {
  const total = new Map<string, number>();
  for (const { source, identifiers } of project) {
    if (source.language !== language) continue;
    for (const [word, count] of identifiers) total.set(word, (total.get(word) ?? 0) + count);
  }
  return total;
}

function report(code: Code, declarations: readonly Declaration[], why: string): string[] {
  return declarations.map(({ name, line }) => violation(code.source, line, `${name} ${why}`));
}

function countIn(code: Code, name: string): number {
  return code.identifiers.get(name) ?? 0;
}

/** Whether another Zig file has the name, which is then taken to be meant. */
function isUsedOutside(project: readonly Code[], own: Code, name: string): boolean {
  return project.some(
    (code) => code !== own && code.source.language === "zig" && countIn(code, name) > 0,
  );
}

/** Programs that are named by something other than an import: a command, a path, a package. */
async function mentions(project: readonly Code[]): Promise<string> {
  const outside = ["package.json", "build.zig", ".ci/run"];
  const texts = await Promise.all(
    outside.map((path) => Bun.file(`${import.meta.dir}/../../../${path}`).text()),
  );
  return [...texts, ...project.map(({ strings }) => strings)].join("\n");
}

export async function deadCodeRules(project: readonly Code[]): Promise<readonly Rule[]> {
  const mentioned = await mentions(project);
  return [deadExports, deadMembers, deadZig, deadFiles(mentioned), unrunTests];
}

const deadExports: Rule = {
  name: "what a file exports, another imports",
  check: (project) => {
    const taken = takenNames(project);
    return project
      .filter(({ source }) => source.language === "typescript")
      .flatMap((code) => {
        const names = taken.get(code.source.path);
        const dead = code.declarations.filter(
          ({ name, isType }) =>
            !(names?.has(name) ?? false) && !(isType && countIn(code, name) > 1),
        );
        return report(code, dead, "is imported nowhere: do not export it, or delete it");
      });
  },
};

const deadMembers: Rule = {
  name: "what a class offers, somebody uses",
  check: (project) => {
    const total = totalOf(project, "typescript");
    return project.flatMap((code) => {
      const dead = code.members.filter(({ name }) => (total.get(name) ?? 0) <= 1);
      return report(code, dead, "is used nowhere: delete it");
    });
  },
};

const deadZig: Rule = {
  name: "what a Zig file declares is used, and what is pub is used by another file",
  check: (project) =>
    project
      .filter(({ source }) => source.language === "zig" && !source.path.startsWith(ABI))
      .flatMap((code) => {
        const declared = code.declarations.filter(({ name }) => !CALLED_BY_NAME.includes(name));
        const unused = declared.filter(
          ({ name }) => countIn(code, name) <= 1 && !isUsedOutside(project, code, name),
        );
        const narrow = declared.filter(
          (each) =>
            each.isPublic &&
            !each.isType &&
            !unused.includes(each) &&
            !isUsedOutside(project, code, each.name),
        );
        return [
          ...report(code, unused, "is used nowhere: delete it"),
          ...report(code, narrow, "is used in this file alone: it need not be pub"),
        ];
      }),
};

function deadFiles(mentioned: string): Rule {
  return {
    name: "every file is imported, run or named by another",
    check: (project) => {
      const taken = takenNames(project);
      return project
        .filter(({ source }) => !source.path.endsWith(".test.ts") && !taken.has(source.path))
        .filter(({ source }) => !mentioned.includes(basename(source.path)))
        .map(({ source }) => violation(source, 1, "nothing imports, runs or names it: delete it"));
    },
  };
}

const unrunTests: Rule = {
  name: "zig/tests.zig names every file that has tests",
  check: (project) => {
    const root = project.find(({ source }) => source.path === "zig/tests.zig");
    const named = root?.imports.map((each) => resolveImport(root, each)) ?? [];
    return project
      .filter(({ source }) => source.path.startsWith("zig/") && source !== root?.source)
      .filter(({ source, hasTests }) => hasTests && !named.includes(source.path))
      .map(({ source }) => violation(source, 1, "has tests, but zig/tests.zig does not name it"));
  },
};
