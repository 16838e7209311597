// Short forms for the option tests.

import { messageOf } from "../../src/errors.ts";
import { parseCommandLine } from "../../src/options/command_line.ts";
import type { Config } from "../../src/options/config.ts";

/** argv of a line without quotes. */
export function words(line: string): string[] {
  return line.split(" ").filter((word) => word !== "");
}

/** The configuration of a line; fails the test when the line only prints. */
export function configOf(line: string): Config {
  const result = parseCommandLine(words(line), "0.1.0");
  if (result.kind === "run") return result.config;
  throw new Error(`'${line}' prints instead of running`);
}

/** The text that a line prints. */
export function printed(line: string): string {
  const result = parseCommandLine(words(line), "0.1.0");
  if (result.kind === "print") return result.text;
  throw new Error(`'${line}' runs instead of printing`);
}

/** The sentence that argv is refused with, or "accepted". */
export function refusalOf(argv: readonly string[]): string {
  try {
    parseCommandLine(argv, "0.1.0");
    return "accepted";
  } catch (error) {
    return messageOf(error);
  }
}
