// Faults that a machine survives, in short; tests/soak has them at length.

import { describe } from "bun:test";
import { hasKvm } from "../support/kvm.ts";
import { describeDisk } from "./disk.case.ts";
import { describeLifeCycle } from "./life_cycle.case.ts";
import { describeLog } from "./log.case.ts";
import { describeSaves } from "./save.case.ts";
import { describeSockets } from "./sockets.case.ts";

describe.skipIf(!hasKvm)("faults survived", () => {
  describeSockets(50);
  describeLifeCycle(40);
  describeLog();
  describeDisk();
  describeSaves(3);
});
