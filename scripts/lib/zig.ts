// The pinned Zig compiler: from the cache that scripts/toolchain fills, or an installed one of
// the same version.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command.ts";
import { cacheFolder, cachePath, contentKey } from "./paths.ts";
import { publish } from "./publish.ts";

/** The words that start the compiler. */
export function zigCommand(): [string, ...string[]] {
  const local = join(cacheFolder, "python/ziglang/zig");
  return existsSync(local) ? [local] : ["python3", "-m", "ziglang"];
}

/**
 * A static program made of Zig sources without libc (the first is its root), cached by their
 * content.
 */
export async function staticProgram(name: string, sources: string[]): Promise<string> {
  const texts = await Promise.all(sources.map((source) => Bun.file(source).text()));
  const path = join(cachePath("programs"), `${name}-${contentKey(...texts)}`);
  return publish(path, async (temporary) => {
    const options = ["-target", "x86_64-linux-musl", "-O", "ReleaseSmall", "-fstrip"];
    const root = sources[0] ?? "";
    await runCommand(
      [
        ...zigCommand(),
        "build-exe",
        ...options,
        "-fsingle-threaded",
        `-femit-bin=${temporary}`,
        root,
      ],
      { cwd: cachePath("programs"), timeoutMs: 300_000 },
    );
  });
}
