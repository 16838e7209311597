// The files that the style guide is about: everything under src, zig, scripts and tests, and
// build.zig, tracked or about to be.

import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { runForText } from "../../scripts/lib/command.ts";
import { checkout } from "../../scripts/lib/paths.ts";

export type Language = "typescript" | "zig" | "shell" | "python" | "c++" | "data";

export interface SourceFile {
  /** From the checkout, with slashes. */
  readonly path: string;
  readonly language: Language;
  readonly text: string;
  readonly lines: readonly string[];
}

const ENDINGS: Readonly<Record<string, Language>> = {
  ts: "typescript",
  zig: "zig",
  py: "python",
  cpp: "c++",
};

/** A source from its text, as the rules see it. */
export function sourceFile(path: string, text: string): SourceFile {
  const ending = basename(path).split(".").slice(1).at(-1) ?? "";
  const language = ENDINGS[ending] ?? (text.startsWith("#!") ? "shell" : "data");
  return { path, language, text, lines: text.replace(/\n$/, "").split("\n") };
}

/** Generated files are exempt from the style guide; what they are made from is not. */
function isGenerated(path: string): boolean {
  return path.endsWith(".gen.ts");
}

/** Every file of the style guide, in order of its path; those of .gitignore are not in it. */
export async function readSources(): Promise<SourceFile[]> {
  const folders = ["src", "zig", "scripts", "tests", "build.zig"];
  const command: [string, ...string[]] = ["git", "ls-files", "-z", "--cached", "--others"];
  const listed = await runForText([...command, "--exclude-standard", "--", ...folders], {
    cwd: checkout,
  });
  const paths = [...new Set(listed.split("\0"))].filter((path) => path !== "").sort();
  const present = paths.filter((path) => existsSync(join(checkout, path)) && !isGenerated(path));
  return Promise.all(
    present.map(async (path) => sourceFile(path, await Bun.file(join(checkout, path)).text())),
  );
}
