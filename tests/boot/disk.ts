// Reads the disk of a guest that has ended, without mounting it.

import { runForText } from "../../scripts/lib/command.ts";
import { guestHost } from "./host.ts";

const environment = { PATH: `${process.env.PATH}:/sbin:/usr/sbin` };

/** The content of a file on a disk of the guest's host, and what fsck says of the file system. */
export async function readBack(
  disk: string,
  path: string,
): Promise<{ readonly content: string; readonly check: string }> {
  const here = await (await guestHost()).fetch(disk);
  try {
    const options = { env: environment };
    const content = await runForText(["debugfs", "-R", `cat ${path}`, here], options);
    const check = await runForText(["e2fsck", "-fn", here], options);
    return { content, check };
  } finally {
    await Bun.file(here).delete();
  }
}
