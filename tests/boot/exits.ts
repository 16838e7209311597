// Counts, from the debug log of a machine that ended, how often a vCPU waited for JavaScript.

/** Parks of all vCPUs, the last one included: the one that ended the machine. */
export function parkCount(log: string): number {
  const counts = [...log.matchAll(/vCPU \d+ exits: (\d+) parks/g)].map((found) => Number(found[1]));
  if (counts.length === 0) throw new Error(`the log says nothing of exits: ${log}`);
  return counts.reduce((sum, count) => sum + count, 0);
}
