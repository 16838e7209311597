// Completes and checks the processor topology of -smp (behaviour 1.4).

import { UserError } from "../errors.ts";
import type { smpKeys } from "./declarations/machine.ts";
import { maxCpuCount } from "./declarations/machine.ts";
import type { KeyValues } from "./schema.ts";

export interface CpuTopology {
  /** Processors at start. */
  readonly count: number;
  /** sockets × dies × clusters × cores × threads. */
  readonly maxCount: number;
  readonly sockets: number;
  readonly dies: number;
  readonly clusters: number;
  readonly cores: number;
  readonly threads: number;
}

type Smp = KeyValues<typeof smpKeys>;

/** Fills in what was left to 0; the rest of the division shows up as a product that differs. */
function fillIn(smp: Smp, maxCount: number): Omit<CpuTopology, "count" | "maxCount"> {
  const { dies, clusters } = smp;
  const fixed = dies * clusters;
  if (smp.cores === 0) {
    const sockets = smp.sockets || 1;
    const threads = smp.threads || 1;
    const cores = Math.floor(maxCount / (fixed * sockets * threads));
    return { sockets, dies, clusters, cores, threads };
  }
  const { cores } = smp;
  if (smp.sockets === 0) {
    const threads = smp.threads || 1;
    const sockets = Math.floor(maxCount / (fixed * cores * threads));
    return { sockets, dies, clusters, cores, threads };
  }
  const { sockets } = smp;
  const threads = smp.threads || Math.floor(maxCount / (fixed * sockets * cores));
  return { sockets, dies, clusters, cores, threads };
}

/** The whole topology, or a UserError that shows the numbers that do not agree. */
export function completeTopology(smp: Smp): CpuTopology {
  const product = smp.sockets * smp.dies * smp.clusters * smp.cores * smp.threads;
  const maxCount = smp.maxcpus || product || smp.cpus;
  if (maxCount < smp.cpus || maxCount > maxCpuCount) {
    throw new UserError(
      `The maxcpus of -smp is ${maxCount}, but must be from cpus (${smp.cpus}) to ${maxCpuCount}.`,
    );
  }
  const parts = fillIn(smp, maxCount);
  const { sockets, dies, clusters, cores, threads } = parts;
  const total = sockets * dies * clusters * cores * threads;
  if (total !== maxCount) {
    const sum = `${sockets} × ${dies} × ${clusters} × ${cores} × ${threads}`;
    const names = "sockets × dies × clusters × cores × threads";
    throw new UserError(
      `The topology of -smp has ${names} = ${sum} = ${total}, but maxcpus is ${maxCount}.`,
    );
  }
  return { count: smp.cpus, maxCount, ...parts };
}
