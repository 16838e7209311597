// What only the static executable can do, through functions of its start (zig/static).

import { dlopen } from "bun:ffi";
import type { EarlyVm } from "./core.ts";
import { isStaticProgram, libraryPath } from "./library.ts";

/** The VM that was made while the runtime started, and the /dev/kvm it came from. */
export function takeEarlyVm(): (EarlyVm & { readonly systemFd: number }) | undefined {
  if (!isStaticProgram()) return undefined;
  const { symbols } = dlopen(libraryPath(), { prepared_take: { args: ["ptr"], returns: "i32" } });
  const out = new Int32Array(3);
  if (symbols.prepared_take(out) === 0) return undefined;
  const [systemFd = -1, vmFd = -1, vcpuFd = -1] = out;
  return { systemFd, vmFd, vcpuFd };
}

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

/**
 * The monotonic clock in nanoseconds when the process began its program; undefined where only the
 * runtime knows (from sources).
 */
export function processStartedNs(): number | undefined {
  if (!isStaticProgram()) return undefined;
  const { symbols } = dlopen(libraryPath(), {
    process_started_ns: { args: ["ptr"], returns: "i32" },
  });
  const out = new BigUint64Array(1);
  symbols.process_started_ns(out);
  return out[0] === 0n ? undefined : Number(out[0]);
}
