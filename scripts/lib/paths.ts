// Where things are: the checkout and its cache. Everything that scripts make lies under the cache.

import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

export const checkout = resolve(import.meta.dir, "../..");
export const cacheFolder = join(checkout, ".cache");

/** Ten hexadecimal digits that differ between checkouts. */
export const checkoutKey = createHash("sha256").update(checkout).digest("hex").slice(0, 10);

/** A folder in the cache, made if it is not there. */
export function cachePath(...parts: string[]): string {
  const path = join(cacheFolder, ...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

/** A digest of texts and bytes, in order: the name of whatever is made from them. */
export function contentKey(...inputs: (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const input of inputs) hash.update(`${input.length}:`).update(input);
  return hash.digest("hex").slice(0, 16);
}
