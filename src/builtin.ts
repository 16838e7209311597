// Modules of the runtime that few machines need. Importing them costs each start up to three
// milliseconds, so they are loaded at their first use.

/** Compression: for a gzip'd kernel. */
export function zlibModule(): typeof import("node:zlib") {
  return process.getBuiltinModule("node:zlib");
}

/** Processor counts and error numbers. */
export function osModule(): typeof import("node:os") {
  return process.getBuiltinModule("node:os");
}

export function pathModule(): typeof import("node:path") {
  return process.getBuiltinModule("node:path");
}
