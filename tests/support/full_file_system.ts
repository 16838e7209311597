// Runs a disk on a file system without room, in a mount namespace of its own.

import { join } from "node:path";
import { tryCommand } from "../../scripts/lib/command.ts";

export interface FullDiskReport {
  readonly acknowledged: number;
  readonly refused: number;
  readonly flushStatus: number;
  /** Acknowledged writes that do not read back. */
  readonly lost: number;
}

export interface FullFileSystemResult {
  /** Why it could not be run. */
  readonly skipped: string | undefined;
  readonly reports: readonly [string, FullDiskReport][];
}

const MOUNT_AND_RUN = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"';

/** A report for each engine. */
export async function runInFullFileSystem(): Promise<FullFileSystemResult> {
  const folder = "/mnt";
  const program = join(import.meta.dir, "full_file_system_guest.ts");
  const shell = ["sh", "-ec", MOUNT_AND_RUN, "sh", folder, process.execPath, program] as const;
  const result = await tryCommand(["unshare", "--map-root-user", "--mount", ...shell]);
  if (result.code === 0) {
    return { skipped: undefined, reports: JSON.parse(new TextDecoder().decode(result.stdout)) };
  }
  const skipped = `a small tmpfs cannot be mounted here: ${result.stderr.trim()}`;
  console.log(`skipped: ${skipped}`);
  return { skipped, reports: [["none", { acknowledged: 0, refused: 0, flushStatus: 0, lost: 0 }]] };
}
