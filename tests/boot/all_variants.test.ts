// Boots of seldom combinations: every form of kernel with 1 and 4 vCPUs and each size of memory.
// They take some minutes and run only when asked for.

import { beforeAll, describe, expect, test } from "bun:test";
import { parkCount } from "./exits.ts";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { memoryScript, readMemory } from "./memory.ts";
import { allBootsAsked } from "./seldom.ts";

const kernels = ["bzImage", "vmlinux", "vmlinuxWithoutNote", "gzip"] as const;
const cpuCounts = [1, 4] as const;
const memories = [
  { memory: "128M", leastMib: 64, mostMib: 128 },
  { memory: "3G", leastMib: 2700, mostMib: 3072 },
  { memory: "5G", leastMib: 4700, mostMib: 5120 },
] as const;
const variants = kernels.flatMap((kernel) =>
  cpuCounts.flatMap((cpuCount) => memories.map((memory) => ({ kernel, cpuCount, ...memory }))),
);

describe.skipIf(!allBootsAsked)("a Debian guest", () => {
  beforeAll(guestHost, prepareTimeoutMs);

  test.each(variants)("boots from $kernel with $cpuCount vCPUs and $memory", async (variant) => {
    const { kernel, cpuCount, memory, leastMib, mostMib } = variant;
    const outcome = await Guest.run({ kernel, cpuCount, memory, script: memoryScript });
    const seen = readMemory(outcome.console);
    expect(seen.cpuCount).toBe(cpuCount);
    expect(seen.totalMib).toBeWithin(leastMib, mostMib);
    expect(outcome.code).toBe(0);
    expect(parkCount(outcome.log)).toBe(1);
  });
});
