// Packages of PyPI that tests use as a second opinion, installed once into the cache.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";

const FOLDER = join(checkout, ".cache", "python");

/** Python's environment with the packages. */
export const pythonEnvironment = { ...process.env, PYTHONPATH: FOLDER };

/** Whether the package is there, `folder` being what it brings; says when it cannot be had. */
export function hasPythonPackage(requirement: string, folder: string): boolean {
  if (existsSync(join(FOLDER, folder))) return true;
  const pip = ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target", FOLDER];
  const result = Bun.spawnSync([...pip, requirement], { timeout: 30_000, stderr: "ignore" });
  if (!result.success) console.log(`skipped: ${requirement} cannot be installed by pip here`);
  return result.success;
}
