// Every rule is needed: a recorded machine used it, or it says why it is there.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { recordUse, unexplained } from "../../scripts/seccomp/record.ts";

const isPossible = existsSync("/dev/kvm") && Bun.which("strace") !== null;

test.skipIf(!isPossible)(
  "no rule is without a use or a reason",
  async () => {
    const uses = await recordUse();
    expect(unexplained(uses)).toEqual([]);
    expect(uses.filter(({ count }) => count > 0).length).toBeGreaterThan(40);
  },
  180_000,
);
