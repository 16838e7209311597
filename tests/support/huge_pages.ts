// A hugetlbfs of tests, where the host has free huge pages and lets us mount it.

import { readFileSync } from "node:fs";
import { tryCommand } from "../../scripts/lib/command.ts";

export interface HugePages extends AsyncDisposable {
  readonly folder: string;
  /** Why there are none. */
  readonly skipped: string | undefined;
}

/** Free huge pages of a size in KiB; 0 on a host without them. */
function freePages(sizeKib: number): number {
  try {
    const folder = `/sys/kernel/mm/hugepages/hugepages-${sizeKib}kB`;
    return Number(readFileSync(`${folder}/free_hugepages`, "utf8"));
  } catch {
    // The processor or the kernel has no pages of this size.
    return 0;
  }
}

/** Mounts a hugetlbfs on a folder if the host can, else says why not. */
export async function mountHugePages(
  folder: string,
  pages: { readonly sizeKib: number; readonly count: number },
): Promise<HugePages> {
  const skipped = await tryToMount(folder, pages);
  if (skipped !== undefined) console.log(`skipped: huge pages: ${skipped}`);
  return {
    folder,
    skipped,
    [Symbol.asyncDispose]: async () => {
      if (skipped === undefined) await tryCommand(["umount", folder]);
    },
  };
}

async function tryToMount(
  folder: string,
  { sizeKib, count }: { readonly sizeKib: number; readonly count: number },
): Promise<string | undefined> {
  const free = freePages(sizeKib);
  if (free < count)
    return `${count} free pages of ${sizeKib} KiB are needed, and there are ${free}`;
  const options = ["-o", `pagesize=${sizeKib}K`];
  const mounted = await tryCommand(["mount", "-t", "hugetlbfs", ...options, "none", folder]);
  return mounted.code === 0 ? undefined : mounted.stderr.trim();
}
