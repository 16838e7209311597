// Sizes of memory around the gap below 4 GiB and forms of kernels, several in
// each boot; and the ways a guest ends that are not a clean power-off.

import { beforeAll, expect, test } from "bun:test";
import { parkCount } from "./exits.ts";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { memoryScript, readMemory } from "./memory.ts";

beforeAll(guestHost, prepareTimeoutMs);

test("128 MiB, a gzip'd kernel and no disk, ended by a panic", async () => {
  const outcome = await Guest.run({
    kernel: "gzip",
    memory: "128M",
    disk: "none",
    script: memoryScript,
    after: "panic",
  });
  const { totalMib, cpuCount, highZoneMib } = readMemory(outcome.console);
  expect(totalMib).toBeWithin(64, 128);
  expect([cpuCount, highZoneMib]).toEqual([1, 0]);
  expect(outcome.console).toContain("Kernel panic - not syncing: sysrq triggered crash");
  expect(outcome.code).toBe(0);
  // On an emulated host the restart after a panic has been seen to end in a triple fault.
  expect(outcome.log).toMatch(/INFO: the guest (asked for a reset|had a triple fault)/);
  expect(parkCount(outcome.log)).toBe(1);
});

test("3 GiB and an ELF kernel with a PVH note, ended by a reboot", async () => {
  const outcome = await Guest.run({
    kernel: "vmlinux",
    memory: "3G",
    script: memoryScript,
    after: "reboot",
  });
  const { totalMib, cpuCount, highZoneMib } = readMemory(outcome.console);
  expect(totalMib).toBeWithin(2700, 3072);
  expect([cpuCount, highZoneMib]).toEqual([1, 0]);
  expect(outcome.code).toBe(0);
  expect(outcome.log).toContain("INFO: the guest asked for a reset");
  expect(parkCount(outcome.log)).toBe(1);
});

test("5 GiB and an ELF kernel entered in 64-bit mode, ended by a triple fault", async () => {
  const outcome = await Guest.run({
    kernel: "vmlinuxWithoutNote",
    memory: "5G",
    script: memoryScript,
    after: "triple fault",
  });
  const { totalMib, highZoneMib, highZoneUsedMib, digest } = readMemory(outcome.console);
  expect(totalMib).toBeWithin(4700, 5120);
  expect(highZoneMib).toBeWithin(1900, 2049);
  expect(highZoneUsedMib).toBeGreaterThan(12);
  expect(digest).toBe(new Bun.CryptoHasher("md5").update(new Uint8Array(16 << 20)).digest("hex"));
  expect(outcome.code).toBe(0);
  expect(outcome.log).toContain("INFO: the guest had a triple fault");
});
