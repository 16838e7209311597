// Where the build reads and writes, all inside the checkout.

import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");

/** Everything that can be made again: packages, object files, Zig's own cache. */
export const CACHE = join(ROOT, ".cache/static");

/** The compiler cache, shared by both processors so that libc is built once for each. */
export const ZIG_CACHE = join(ROOT, ".cache/zig");
