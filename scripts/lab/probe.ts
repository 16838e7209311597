// Asks the host's /dev/kvm whether it can run Linux, by running what Linux runs (probe.zig).

import { join } from "node:path";
import { tryCommand } from "../lib/command.ts";
import { staticProgram } from "../lib/zig.ts";

export interface HostVerdict {
  able: boolean;
  /** Why not, for a person. */
  reason: string;
}

/** The probe as a static program. */
export function probeProgram(): Promise<string> {
  return staticProgram("kvm-probe", [join(import.meta.dir, "probe.zig")]);
}

/** Runs the probe: a few milliseconds once it is compiled. */
export async function hostCanRunLinux(): Promise<HostVerdict> {
  const result = await tryCommand([await probeProgram()], { timeoutMs: 10_000 });
  const answer = new TextDecoder().decode(result.stdout).trim();
  if (answer === "yes") return { able: true, reason: "" };
  return {
    able: false,
    reason: answer.replace(/^no: /, "") || `the probe failed: ${result.stderr}`,
  };
}
