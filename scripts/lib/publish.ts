// Makes a file or folder once: built under a temporary name, then renamed, so that nobody sees
// half of it.

import { existsSync, rmSync } from "node:fs";
import { rename } from "node:fs/promises";

/** Gives `path`; calls `build` with a temporary path beside it first when it does not exist. */
export async function publish(
  path: string,
  build: (temporary: string) => Promise<void>,
): Promise<string> {
  if (existsSync(path)) return path;
  const temporary = `${path}.${process.pid}.part`;
  try {
    await build(temporary);
    await rename(temporary, path).catch((error: unknown) => {
      if (!existsSync(path)) throw error; // another process was first, with the same content
    });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return path;
}
