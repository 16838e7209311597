// Figures about the sources that are printed rather than enforced.

import type { Code } from "./code.ts";

export interface Figures {
  readonly fileCount: number;
  readonly text: string;
}

/** Files of the two languages, without tests: how many, how long, how much comment. */
export function figuresOf(project: readonly Code[]): Figures {
  const languages = ["typescript", "zig"] as const;
  const parts = languages.map((language) => {
    const codes = project.filter(
      ({ source }) => source.language === language && !source.path.startsWith("tests/"),
    );
    return `${language}: ${describeCodes(codes)}`;
  });
  return { fileCount: project.length, text: parts.join("\n") };
}

function describeCodes(codes: readonly Code[]): string {
  const lengths = codes.map(({ source }) => source.lines.length).sort((a, b) => a - b);
  const functionLengths = codes
    .flatMap(({ functions }) => functions.map(({ lineCount }) => lineCount))
    .sort((a, b) => a - b);
  const comments = codes.flatMap((code) => code.comments.map(({ line }) => [code, line]));
  const written = codes.flatMap(({ source }) => source.lines.filter((line) => line.trim() !== ""));
  const share = Math.round((100 * comments.length) / written.length);
  return [
    `${codes.length} files`,
    `median ${median(lengths)} lines`,
    `longest ${lengths.at(-1)}`,
    `median function ${median(functionLengths)} lines`,
    `comments ${share} % of the lines (aim: 12 to 20 %)`,
  ].join(", ");
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
