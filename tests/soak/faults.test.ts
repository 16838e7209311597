// The faults of tests/faults as often as makes leaks show. Minutes: `bun run test --suite soak`.

import { describe } from "bun:test";
import { describeLifeCycle } from "../faults/life_cycle.case.ts";
import { describeSaves } from "../faults/save.case.ts";
import { describeSockets } from "../faults/sockets.case.ts";
import { hasKvm } from "../support/kvm.ts";

describe.skipIf(!hasKvm)("faults survived", () => {
  describeSockets(1000);
  describeLifeCycle(1000);
  describeSaves(100);
});
