// A microvm without ACPI tables. Debian's cloud kernel reads neither the MP table (it has no
// CONFIG_X86_MPPARSE) nor virtio devices of the command line, so this guest has one processor and
// stays in its initial RAM disk.

import { beforeAll, expect, test } from "bun:test";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";

beforeAll(guestHost, prepareTimeoutMs);

test("a guest without ACPI reads of its devices on the command line", async () => {
  const outcome = await Guest.run({
    machine: "microvm,acpi=off",
    script: "ls /sys/firmware; cat /proc/cmdline",
    after: "reboot",
    append: "reboot=k",
  });
  expect(outcome.console).toContain("stratovirt: init reached");
  expect(outcome.console).not.toMatch(/^acpi/m);
  expect(outcome.console).toContain(" virtio_mmio.device=512@0xf0100000:5");
  expect(outcome.code).toBe(0);
  expect(outcome.log).toContain("INFO: the guest asked for a reset");
});
