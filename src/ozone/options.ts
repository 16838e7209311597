// The launcher's command line: QEMU style like the machine's own, with both spellings where
// guidebook and upstream differ (guidebook chapter 6.1). What follows `--` is not read here.

import { UserError } from "../errors.ts";
import type { OptionSchema } from "../options/schema.ts";
import { integer, path, text } from "../options/schema.ts";
import { nearest } from "../options/suggest.ts";
import { checkUses, collectUses, type Use, valueUsage } from "../options/tokenise.ts";
import { readValue } from "../options/values.ts";
import { parseCapabilities } from "./capabilities.ts";
import { type GroupLimits, parseGroupLimits } from "./group_limits.ts";
import { parseResourceLimits, type ResourceLimit, resourceLimitKeys } from "./resource_limits.ts";

/** What to launch, or which jail to clean. */
export interface JailOptions {
  readonly name: string;
  readonly program: string;
  readonly uid: number;
  readonly gid: number;
  readonly capabilities: readonly string[];
  readonly networkNamespace: string | undefined;
  readonly sources: readonly string[];
  readonly numaNode: number | undefined;
  readonly groupLimits: GroupLimits;
  readonly resourceLimits: readonly ResourceLimit[];
  readonly pidNamespace: boolean;
  /** What follows `--`. */
  readonly arguments: readonly string[];
}

export type OzoneCommand =
  | { readonly kind: "launch"; readonly options: JailOptions }
  | { readonly kind: "clean"; readonly name: string; readonly program: string }
  | { readonly kind: "help" | "version" };

/** The largest id that is not the "no change" value of chown(2). */
const idType = integer(0, 0xffff_fffe);
const group = "Process";

export const ozoneOptions: readonly OptionSchema[] = [
  { name: "name", group, help: "unique name of the jail", shape: "value", type: text("NAME") },
  {
    name: "exec_file",
    aliases: ["exec-file"],
    group,
    help: "static executable to start in it",
    shape: "value",
    type: path,
  },
  { name: "uid", group, help: "user id of the program", shape: "value", type: idType },
  { name: "gid", group, help: "group id of the program", shape: "value", type: idType },
  {
    name: "capability",
    group,
    help: "capabilities to keep, CAP_A,CAP_B; none without it",
    shape: "words",
    repeatable: true,
  },
  {
    name: "netns",
    group,
    help: "network namespace to join, like /var/run/netns/NAME",
    shape: "value",
    type: path,
  },
  {
    name: "source",
    group,
    help: "files and folders to bind to the jail's root, by their base names",
    shape: "words",
    repeatable: true,
  },
  {
    name: "numa",
    group,
    help: "node whose memory and processors are used",
    shape: "value",
    type: integer(0, 1023),
  },
  {
    name: "cgroup",
    group,
    help: "cpuset.cpus=LIST and memory.limit_in_bytes=N[K|M|G], cgroup v1 or v2",
    shape: "words",
    repeatable: true,
  },
  {
    name: "rlimit",
    group,
    help: "resource limits, nofile=1024,core=0 (getrlimit(2))",
    shape: "keys",
    keys: resourceLimitKeys,
  },
  {
    name: "no-pid-namespace",
    group,
    help: "leave the program among the host's processes",
    shape: "flag",
  },
  {
    name: "clean-resource",
    group,
    help: "remove what the jail of this name left behind",
    shape: "flag",
  },
  { name: "help", aliases: ["h"], group, help: "print this help", shape: "flag" },
  { name: "version", aliases: ["V"], group, help: "print the version", shape: "flag" },
];

function findOption(name: string): OptionSchema | undefined {
  return ozoneOptions.find((option) => option.name === name || option.aliases?.includes(name));
}

function unknownOption(token: string): UserError {
  const names = ozoneOptions.flatMap((option) => [option.name, ...(option.aliases ?? [])]);
  const near = nearest(token.replace(/^-+/, ""), names);
  const more = near === undefined ? "Use -help to list the options" : `Did you mean '-${near}'`;
  const end = near === undefined ? "." : "?";
  return new UserError(
    `Unknown option '${token}'. ${more}${end} Options of the program come after '--'.`,
  );
}

class Values {
  constructor(private readonly uses: readonly Use[]) {}

  has(name: string): boolean {
    return this.uses.some((use) => use.option.name === name);
  }

  /** All values of an option that may be repeated. */
  words(name: string): string[] {
    return this.uses.filter((use) => use.option.name === name).flatMap((use) => use.values);
  }

  text(name: string): string | undefined {
    const use = this.uses.find(({ option }) => option.name === name);
    const value = use?.values[0];
    if (value === undefined || use?.option.shape !== "value") return value;
    readValue(use.option.type, value, `-${name}`);
    return value;
  }

  required(name: string, example: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UserError(`ozone needs -${name}: ${example}.`);
    return value;
  }
}

/** Checks a name that becomes a folder's. */
function folderName(option: string, value: string): string {
  if (value === "" || value === "." || value === ".." || value.includes("/")) {
    throw new UserError(
      `Bad value '${value}' for ${option}: expected a name of 1 to 255 bytes without '/'.`,
    );
  }
  return value;
}

/** Reads argv without the program's name. Throws a UserError with one sentence. */
export function parseOzone(argv: readonly string[]): OzoneCommand {
  const dashes = argv.indexOf("--");
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const uses = collectUses(own, { find: findOption, unknown: unknownOption, hint: "Use -help." });
  const values = new Values(uses);
  if (values.has("help")) return { kind: "help" };
  if (values.has("version")) return { kind: "version" };
  checkUses(uses);

  const name = folderName("-name", values.required("name", "-name NAME"));
  const program = values.required("exec_file", "-exec_file PATH");
  folderName("the base name of -exec_file", program.slice(program.lastIndexOf("/") + 1));
  if (values.has("clean-resource")) return { kind: "clean", name, program };

  const numa = values.text("numa");
  const limits = values.text("rlimit");
  return {
    kind: "launch",
    options: {
      name,
      program,
      uid: Number(values.required("uid", "-uid N, the user that the program runs as")),
      gid: Number(values.required("gid", "-gid N, the group that the program runs as")),
      capabilities: parseCapabilities(values.words("capability")),
      networkNamespace: values.text("netns"),
      sources: values.words("source"),
      numaNode: numa === undefined ? undefined : Number(numa),
      groupLimits: parseGroupLimits(values.words("cgroup")),
      resourceLimits: limits === undefined ? [] : parseResourceLimits(limits),
      pidNamespace: !values.has("no-pid-namespace"),
      arguments: dashes < 0 ? [] : argv.slice(dashes + 1),
    },
  };
}

/** The text of -help. */
export function ozoneHelp(version: string): string {
  const rows = ozoneOptions.map((option) => {
    const names = [option.name, ...(option.aliases ?? [])].map((name) => `-${name}`).join(", ");
    return `  ${`${names} ${valueUsage(option)}`.trim().padEnd(36)}  ${option.help}`;
  });
  return [
    `ozone ${version}: starts a program in a jail of its own`,
    "Usage: ozone -name NAME -exec_file PATH -uid N -gid N [OPTION [VALUE]]… -- [ARGUMENT]…",
    rows.join("\n"),
    "The jail is /srv/ozone/{base name of PATH}/{NAME}; inside, all paths start from there.",
  ].join("\n\n");
}
