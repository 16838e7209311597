// A machine whose guest goes over its memory all the time and prints a dot for each pass without an
// error.

import { expect } from "bun:test";
import { checksumPayload } from "./checksum_payload.ts";
import { PayloadProgram } from "./payload_program.ts";
import { until } from "./until.ts";

export function startChecking(...more: readonly string[]): PayloadProgram {
  return new PayloadProgram(checksumPayload, more);
}

/** Waits until the guest has gone over its memory so many more times, without an error. */
export async function checksAgain(machine: PayloadProgram, passes: number): Promise<void> {
  const before = machine.printed.length;
  await until("the guest's passes", () => machine.printed.length >= before + passes);
  expect(machine.printed).toMatch(/^\.+$/);
}
