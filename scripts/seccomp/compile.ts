// Compiles seccomp-profiles/ into src/host/seccomp.gen.ts and counts what each filter allows.
// `bun scripts/seccomp/compile.ts` writes the file; with --check it only says whether it is fresh.

import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { checkout } from "../lib/paths.ts";
import { assemble, encodeProgram } from "./assemble.ts";
import {
  ARCHITECTURES,
  allowedCount,
  everyProfile,
  profileName,
  profilesOf,
  readProfile,
  type ThreadKind,
  VARIANTS,
} from "./profile.ts";

const target = join(checkout, "src/host/seccomp.gen.ts");

/** The most calls that a kind of thread of a microvm without vhost-user is meant to need. */
export const CALL_COUNT_TARGET: Readonly<Record<ThreadKind, number>> = {
  main: 50,
  vcpu: 15,
  iothread: 30,
};

/** Throws a UserError when the generated file is not what the profiles say. */
export async function checkSeccomp(): Promise<void> {
  const current = await Bun.file(target)
    .text()
    .catch(() => "");
  if (current !== (await generatedText())) {
    throw new UserError(
      "src/host/seccomp.gen.ts is stale: run `bun scripts/seccomp/compile.ts` and commit it",
    );
  }
}

/** A table of how many calls each filter allows, and of its instructions. */
export async function seccompTable(): Promise<string> {
  const lines = ["filter                                         calls  at most  instructions"];
  for (const key of everyProfile()) {
    const rules = await readProfile(key);
    const name = `${key.architecture} ${profileName(key)} (${key.variant})`.padEnd(46);
    const count = String(allowedCount(rules)).padStart(6);
    const most = (key.backEnds ? "" : String(CALL_COUNT_TARGET[key.kind])).padStart(9);
    const size = String(assemble(rules, key.architecture).length).padStart(14);
    lines.push(`${name}${count}${most}${size}`);
  }
  return lines.join("\n");
}

async function generatedText(): Promise<string> {
  const lines = [
    "// Generated from seccomp-profiles/ by `bun scripts/seccomp/compile.ts`; do not edit.",
    "",
    "/** BPF programs in base64, by architecture, kind of C library and kind of thread. */",
    "export const SECCOMP_PROGRAMS = {",
  ];
  for (const architecture of ARCHITECTURES) {
    lines.push(`  ${architecture}: {`);
    for (const variant of VARIANTS) {
      lines.push(`    ${variant}: {`);
      for (const key of profilesOf(architecture, variant)) {
        const program = encodeProgram(assemble(await readProfile(key), architecture));
        lines.push(`      ${profileName(key)}: "${program.toBase64()}",`);
      }
      lines.push("    },");
    }
    lines.push("  },");
  }
  return [...lines, "} as const;", ""].join("\n");
}

if (import.meta.main) {
  if (!process.argv.includes("--check")) await Bun.write(target, await generatedText());
  await checkSeccomp();
  console.log(await seccompTable());
}
