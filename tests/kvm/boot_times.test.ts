// A guest that writes its boot-time marks: QMP tells all steps, in order.

import { describe, expect, test } from "bun:test";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";

const marks = [...writePort(0x3ff, 1), ...writePort(0x3ff, 2)];

describe.skipIf(!hasKvm)("boot times", () => {
  test("are complete when the guest says that it has booted", async () => {
    await using machine = new PayloadProgram(payload(marks, print("!"), forever(x86.pause)));
    const client = await machine.connect();
    await until("the guest's marks", () => machine.printed === "!");
    const { return: times } = await client.ask("query-boot-times");
    expect(times).toMatchObject({ origin: "runtime" });
    const { origin: _, ...steps } = times as Readonly<Record<string, unknown>>;
    expect(Object.keys(steps)).toEqual([
      "runtime-ready",
      "machine-built",
      "guest-started",
      "kernel-entered",
      "boot-complete",
    ]);
    expect(Object.values(steps)).toEqual(
      Object.values(steps).toSorted((a, b) => Number(a) - Number(b)),
    );
  });
});
