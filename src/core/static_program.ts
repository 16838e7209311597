// What only the static executable can do, through functions of its start (zig/static).

import { dlopen } from "bun:ffi";
import { isStaticProgram, libraryPath } from "./library.ts";

/**
 * Tells the process that waits for a daemon: "" when the machine is up, else why it is not. False
 * when nobody waits.
 */
export function reportToStarter(text: string): boolean {
  if (!isStaticProgram()) return false;
  const { symbols } = dlopen(libraryPath(), {
    daemon_report: { args: ["ptr", "u32"], returns: "i32" },
  });
  const bytes = new TextEncoder().encode(text);
  return symbols.daemon_report(bytes.length === 0 ? new Uint8Array(1) : bytes, bytes.length) === 1;
}
