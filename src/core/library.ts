// Loads the core library and checks that it is the one this program was built with.

import { dlopen, type Symbols } from "bun:ffi";
import { pathModule } from "../builtin.ts";
import { ABI_HASH, SYMBOLS } from "./abi.gen.ts";

/** Set by the build of the static executable, which carries the core inside itself. */
declare const STRATOVIRT_CORE: string | undefined;

type Scalar = "ptr" | "u32" | "i32" | "u64_fast";
type ArgumentOf<T extends Scalar> = T extends "ptr" ? number | Uint8Array : number;
type ArgumentsOf<A extends readonly Scalar[]> = { -readonly [I in keyof A]: ArgumentOf<A[I]> };
type Call<S extends { readonly args: readonly Scalar[] }> = (
  ...args: ArgumentsOf<S["args"]>
) => number;

/** The functions of zig/abi.zig, with bun:ffi's types. */
export type Library = { readonly [K in keyof typeof SYMBOLS]: Call<(typeof SYMBOLS)[K]> };

let loaded: Library | undefined;

/** Whether this is the static executable, whose start can do more (zig/static). */
export function isStaticProgram(): boolean {
  return typeof STRATOVIRT_CORE === "string";
}

/** The library, loaded at the first call. Throws when it is missing or from another build. */
export function loadLibrary(): Library {
  loaded ??= openLibrary(libraryPath());
  return loaded;
}

/** Where the functions of the core, and in the static executable those of its start, are. */
export function libraryPath(): string {
  if (typeof STRATOVIRT_CORE === "string") return STRATOVIRT_CORE;
  return pathModule().resolve(import.meta.dir, "../../zig-out/lib/libstratovirt_core.so");
}

function openLibrary(path: string): Library {
  const library = dlopen(path, SYMBOLS as unknown as Symbols).symbols as unknown as Library;
  const hash = library.abi_hash();
  if (hash !== ABI_HASH) {
    throw new Error(
      `${path} has ABI ${hash} where this program needs ${ABI_HASH}: ` +
        "run `bun run gen` and build again",
    );
  }
  return library;
}
