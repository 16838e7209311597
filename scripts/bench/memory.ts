// Memory of idle machines that is not their guests': what one machine has for itself, and its
// proportional share with several of them up.

import { readFileSync } from "node:fs";
import { runCommand } from "../lib/command.ts";
import { type Contender, memoryMib } from "./contender.ts";
import { table } from "./figures.ts";
import type { Payload } from "./payload.ts";

const machineCount = 10;
const settleMs = 3_000;
const kibPerMib = 1024;

interface Shares {
  readonly privateDirtyMib: number;
  readonly pssMib: number;
}

/** One row a contender, means over the machines. */
export async function measureMemory(
  contenders: readonly Contender[],
  payload: Payload,
): Promise<string> {
  await runCommand(["sync"]); // pages of a file that was just written count as dirty
  const title = `Private_Dirty (goal 8 MiB)`;
  const rows = [["without guest memory", title, `Pss with ${machineCount} up`]];
  for (const contender of contenders) {
    const [alone] = await measureUp(contender, payload, 1);
    const together = await measureUp(contender, payload, machineCount);
    const pssMib = together.reduce((sum, each) => sum + each.pssMib, 0) / together.length;
    const privateMib = alone?.privateDirtyMib ?? Number.NaN;
    rows.push([contender.name, `${privateMib.toFixed(1)} MiB`, `${pssMib.toFixed(1)} MiB`]);
  }
  return table(rows);
}

async function measureUp(
  contender: Contender,
  payload: Payload,
  count: number,
): Promise<readonly Shares[]> {
  const machines = Array.from({ length: count }, () =>
    Bun.spawn(contender.command(payload), { stdio: ["ignore", "ignore", "inherit"] }),
  );
  try {
    await Bun.sleep(settleMs);
    return machines.map(({ pid }) => sharesOf(readFileSync(`/proc/${pid}/smaps`, "utf8")));
  } finally {
    for (const machine of machines) machine.kill("SIGKILL");
    await Promise.all(machines.map(({ exited }) => exited));
  }
}

/** Sums over the mappings of smaps (proc(5)) but the one that has the size of guest memory. */
function sharesOf(smaps: string): Shares {
  let privateDirty = 0;
  let pss = 0;
  for (const mapping of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const kib = (name: string) =>
      Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(mapping)?.[1] ?? 0);
    if (kib("Size") === memoryMib * kibPerMib) continue;
    privateDirty += kib("Private_Dirty");
    pss += kib("Pss");
  }
  return { privateDirtyMib: privateDirty / kibPerMib, pssMib: pss / kibPerMib };
}
