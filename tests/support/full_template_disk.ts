// Saves a machine to a file system without room for it, in a mount namespace of its own.

import { join } from "node:path";
import { tryCommand } from "../../scripts/lib/command.ts";
import type { MigrationState } from "../../src/qmp/machine_control.ts";

export interface FullTemplateReport {
  readonly state: MigrationState;
  readonly runState: string;
  readonly events: readonly string[];
  /** What the template's folder holds afterwards. */
  readonly files: readonly string[];
  readonly isOldTemplate: boolean;
}

const MOUNT_AND_RUN = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1/t"';

/** The report, or why there is none. */
export async function saveInFullFileSystem(): Promise<
  | { readonly skipped: string; readonly report?: never }
  | { readonly skipped?: never; readonly report: FullTemplateReport }
> {
  const program = join(import.meta.dir, "full_template_disk_guest.ts");
  const shell = ["sh", "-ec", MOUNT_AND_RUN, "sh", "/mnt", process.execPath, program] as const;
  const result = await tryCommand(["unshare", "--map-root-user", "--mount", ...shell]);
  if (result.code === 0) return { report: JSON.parse(new TextDecoder().decode(result.stdout)) };
  const skipped = `a small tmpfs cannot be mounted here: ${result.stderr.trim()}`;
  console.log(`skipped: ${skipped}`);
  return { skipped };
}
