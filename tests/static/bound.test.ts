// What the build bound cannot be bound anew by who finds a way to write to memory.

import { expect, test } from "bun:test";
import { ARCHITECTURES } from "../../scripts/static/architecture.ts";
import { fetchRuntime, readElf } from "../../scripts/static/runtime_package.ts";
import { BUILD_TIMEOUT_MS, buildProbe, execute, reportOf } from "./probe.ts";

test(
  "the table of bound addresses is read-only while the program runs",
  () => {
    const table = readElf(fetchRuntime(ARCHITECTURES.x86_64)).section(".got.plt");
    const { maps } = reportOf(execute([buildProbe("x86_64")]));
    const line = maps.split("\n").find((entry) => {
      const [start, end] = (entry.split(" ")[0] ?? "").split("-").map((word) => parseInt(word, 16));
      return (
        start !== undefined && end !== undefined && start <= table.address && table.address < end
      );
    });
    expect(line).toMatch(/^\S+ r--p /);
  },
  BUILD_TIMEOUT_MS,
);
