// The subcommands for people: check, doctor, completion, reference. A normal start loads none of
// this. citty finds the subcommand and its help; the options of the machine itself are QEMU's style
// and keep their own parser.

import { defineCommand, renderUsage, runCommand } from "citty";
import { UserError } from "../errors.ts";
import { didYouMean } from "../options/suggest.ts";
import { VERSION } from "../version.ts";

/** What a subcommand says, and the exit code of the process. */
export interface ToolAnswer {
  readonly text: string;
  readonly exitCode: 0 | 1;
}

type Run = (argv: readonly string[]) => ToolAnswer | Promise<ToolAnswer>;

interface Tool {
  readonly description: string;
  readonly run: Run;
}

const said = (text: string): ToolAnswer => ({ text, exitCode: 0 });

/** By name; each loads what it needs. */
const tools: Readonly<Record<string, Tool>> = {
  check: {
    description: "check a command line without starting it; print the machine as JSON",
    run: async (argv) => said((await import("./check.ts")).checkCommandLine(argv)),
  },
  doctor: {
    description: "look at the host: what a machine needs and what to do where it is missing",
    run: async () => {
      const { examine, describeFindings } = await import("./doctor.ts");
      const { readHostFacts } = await import("./host_facts.ts");
      const findings = examine(readHostFacts());
      const isBad = findings.some(({ state }) => state === "bad");
      return { text: describeFindings(findings), exitCode: isBad ? 1 : 0 };
    },
  },
  completion: {
    description: "print the completion for a shell: bash, zsh or fish",
    run: async (argv) => said((await import("./completion.ts")).completion(argv)),
  },
  reference: {
    description: "print a reference: qmp, qmp-schema, options-schema or manual",
    run: async ([topic = ""]) => said((await import("./reference.ts")).reference(topic)),
  },
};

/** Their names, for completion. */
export const toolNames = Object.keys(tools);

/** Runs a subcommand; a UserError says what is wrong with the command line. */
export async function runTool(argv: readonly string[]): Promise<ToolAnswer> {
  const [name = "", ...rest] = argv;
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
  if (tool === undefined) {
    const known = `Known: ${toolNames.join(", ")}; options begin with a dash, see -help.`;
    throw new UserError(`Unknown command '${name}'.${didYouMean(name, toolNames, known)}`);
  }
  let answer = said("");
  const command = defineCommand({
    meta: { name: `stratovirt ${name}`, version: VERSION, description: tool.description },
    async run({ rawArgs }) {
      answer = await tool.run(rawArgs);
    },
  });
  if (rest.length === 1 && rest[0] === "--help") return said(await renderUsage(command));
  await runCommand(command, { rawArgs: rest });
  return answer;
}
