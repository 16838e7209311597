// The project's own sources, read once for all rules.

import { checkout } from "../../scripts/lib/paths.ts";
import type { Code } from "./code.ts";
import { readPlain } from "./plain_code.ts";
import { readSources } from "./source_tree.ts";
import { readTypeScript } from "./typescript_code.ts";
import { readZig } from "./zig_code.ts";

/** Every file of the style guide with what the rules know about it, in order of its path. */
export async function readProject(): Promise<Code[]> {
  const sources = await readSources();
  const typeScript = sources.filter(({ language }) => language === "typescript");
  const others = sources.filter(({ language }) => language !== "typescript");
  const read = [
    ...(await readTypeScript(checkout, typeScript)),
    ...others.map((source) => (source.language === "zig" ? readZig(source) : readPlain(source))),
  ];
  return read.sort((one, other) => (one.source.path < other.source.path ? -1 : 1));
}
