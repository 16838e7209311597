// Skips a step whose inputs and outputs are what they were: a stamp file keeps the hash of the
// inputs and the size and time of the output.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A hash over the names and contents of files, folders (walked) and plain texts. */
export function hashInputs(inputs: { files: readonly string[]; texts: readonly string[] }): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const text of inputs.texts) hasher.update(`${text}\0`);
  for (const file of inputs.files.flatMap(filesBelow)) {
    hasher.update(`${file}\0`);
    hasher.update(readFileSync(file));
  }
  return hasher.digest("hex");
}

function filesBelow(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function identity(output: string, inputs: string): string {
  const { size, mtimeMs } = statSync(output);
  return `${inputs} ${size} ${mtimeMs}\n`;
}

/** Calls `make`, which writes `output`, unless its inputs are unchanged; true if called. */
export function makeOnce(output: string, inputs: string, stamp: string, make: () => void): boolean {
  const isCurrent =
    existsSync(output) &&
    existsSync(stamp) &&
    readFileSync(stamp, "utf8") === identity(output, inputs);
  if (isCurrent) return false;
  make();
  writeFileSync(stamp, identity(output, inputs));
  return true;
}
