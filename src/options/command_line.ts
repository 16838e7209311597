// From argv to either a Config or a text to print; pure, so that tests need no process.

import { buildConfig } from "./build_config.ts";
import type { Config } from "./config.ts";
import { helpText, optionHelp, variantHelp } from "./describe.ts";
import { findVariant, splitVariant } from "./parse.ts";
import type { Use } from "./tokenise.ts";
import { checkUses, tokenise } from "./tokenise.ts";

export type CommandLine =
  | { readonly kind: "run"; readonly config: Config }
  | {
      readonly kind: "print";
      readonly text: string;
      /** What belongs below the text, but is known to the core alone. */
      readonly appendix?: "trace events";
    };

const traceAppendix = { appendix: "trace events" } as const;

/** The help that a use asks for: `-machine help`, `-device help`, `-device DRIVER,help`. */
function helpOf(use: Use): string | undefined {
  const { option } = use;
  const [value = ""] = use.values;
  if (option.shape !== "keys" && option.shape !== "variants") return undefined;
  if (value === "help") return optionHelp(option);
  if (option.shape === "keys" || !value.endsWith(",help")) return undefined;
  const owner = `-${option.name}`;
  const { name } = splitVariant(owner, option.selector, option.variants, value);
  return variantHelp(option.name, name, findVariant(owner, option.selector, option.variants, name));
}

/**
 * Reads argv (without the program's name). Throws a UserError with one sentence for anything wrong.
 * The text to print has no final line feed.
 */
export function parseCommandLine(argv: readonly string[], version: string): CommandLine {
  const uses = tokenise(argv);
  if (uses.some((use) => use.option.name === "help")) {
    return { kind: "print", text: helpText(version) };
  }
  if (uses.some((use) => use.option.name === "version")) {
    return { kind: "print", text: `StratoVirt ${version}` };
  }
  for (const use of uses) {
    const text = helpOf(use);
    if (text === undefined) continue;
    return { kind: "print", text, ...(use.option.name === "trace" ? traceAppendix : {}) };
  }
  checkUses(uses);
  return { kind: "run", config: buildConfig(uses) };
}
