// The launcher as a function: from its command line to its exit code.

import packageJson from "../../package.json" with { type: "json" };
import { messageOf } from "../errors.ts";
import { cleanJail } from "./clean.ts";
import { type LaunchHooks, launch } from "./launch.ts";
import { ozoneHelp, parseOzone } from "./options.ts";

function warn(sentence: string): void {
  console.error(`ozone: warning: ${sentence}`);
}

/** As shells do it: the code of the program, or 128 and the signal that ended it. */
function exitCode(exit: { readonly code: number; readonly signal: number }): number {
  return exit.signal === 0 ? exit.code : 128 + exit.signal;
}

function run(argv: readonly string[], before: LaunchHooks["before"]): number {
  const command = parseOzone(argv);
  switch (command.kind) {
    case "help":
      console.log(ozoneHelp(packageJson.version));
      return 0;
    case "version":
      console.log(`ozone ${packageJson.version}`);
      return 0;
    case "clean":
      if (!cleanJail(command.program, command.name)) {
        console.error(`ozone: nothing is left of a jail '${command.name}'.`);
      }
      return 0;
    case "launch":
      return exitCode(launch(command.options, before === undefined ? { warn } : { warn, before }));
  }
}

/**
 * Runs the launcher on argv without the program's name; returns the exit code. `before` sees each
 * step first, and what it throws fails the step.
 */
export function ozone(argv: readonly string[], before?: LaunchHooks["before"]): number {
  try {
    return run(argv, before);
  } catch (error) {
    console.error(`ozone: ${messageOf(error)}`);
    return 1;
  }
}
