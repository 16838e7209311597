// stratovirt check: everything that a start would refuse about its command line and its files,
// without making anything.

import { accessSync, constants } from "node:fs";
import { errorCode, UserError } from "../errors.ts";
import { parseCommandLine } from "../options/command_line.ts";
import type { Config } from "../options/config.ts";
import { VERSION } from "../version.ts";

interface NeededFile {
  readonly what: string;
  readonly path: string;
  readonly access: "read" | "read and write";
}

function filesOf({ boot, drives, incoming }: Config): NeededFile[] {
  const images =
    incoming === undefined
      ? [
          { what: "kernel", path: boot.kernelPath },
          { what: "initrd", path: boot.initrdPath },
        ]
      : [{ what: "template", path: `${incoming.path}/state` }];
  return [
    ...images.flatMap(({ what, path }) =>
      path === undefined ? [] : [{ what, path, access: "read" as const }],
    ),
    ...drives.map(({ id, file, readonly }) => ({
      what: `drive '${id}'`,
      path: file,
      access: readonly ? ("read" as const) : ("read and write" as const),
    })),
  ];
}

function checkFile({ what, path, access }: NeededFile): void {
  const mode = access === "read" ? constants.R_OK : constants.R_OK | constants.W_OK;
  try {
    accessSync(path, mode);
  } catch (error) {
    const code = errorCode(error);
    const reason = code === "ENOENT" ? "does not exist" : `does not let you ${access} (${code})`;
    throw new UserError(`The file '${path}' of the ${what} ${reason}; check the path.`);
  }
}

/** The resolved machine as JSON, or the help that the line asks for. Throws a UserError. */
export function checkCommandLine(argv: readonly string[]): string {
  const parsed = parseCommandLine(argv, VERSION);
  if (parsed.kind === "print") return parsed.text;
  for (const file of filesOf(parsed.config)) checkFile(file);
  return JSON.stringify(parsed.config, null, 2);
}
