// -numa: the guest's nodes with their processors, memory and distances (behaviour 1.5).

import { UserError } from "../errors.ts";
import type { MemoryBackendValues, NumaConfig, NumaNode } from "./config.ts";
import { numaVariants } from "./declarations/machine.ts";
import { readNumberList } from "./number_list.ts";
import { parseVariant } from "./parse.ts";
import type { VariantValues } from "./schema.ts";
import { didYouMean } from "./suggest.ts";
import { formatSize } from "./values.ts";

const maxNodes = 8;
const LOCAL = 10;
const REMOTE = 20;

type Use = VariantValues<typeof numaVariants, "type">;
type NodeUse = Extract<Use, { type: "node" }>;
type DistUse = Extract<Use, { type: "dist" }>;

/** What the nodes are checked against. */
export interface NumaInput {
  readonly sources: readonly string[];
  readonly backends: readonly MemoryBackendValues[];
  /** Most processors of the machine. */
  readonly cpuCount: number;
  readonly memoryBytes: number;
}

/** The nodes in the order of their numbers; undefined without -numa. */
export function buildNuma(input: NumaInput): NumaConfig | undefined {
  if (input.sources.length === 0) return undefined;
  const uses = input.sources.map((source) => parseVariant("-numa", "type", numaVariants, source));
  const nodeUses = uses.flatMap((use) => (use.type === "node" ? [use] : []));
  if (nodeUses.length > maxNodes) {
    const count = nodeUses.length;
    throw new UserError(`There are ${count} nodes of -numa, but at most ${maxNodes} are possible.`);
  }
  const nodes = spreadCpus(numberNodes(nodeUses), input.cpuCount);
  checkMemory(nodes, input);
  const dists = uses.flatMap((use) => (use.type === "dist" ? [use] : []));
  return { nodes, distances: buildDistances(nodes, dists) };
}

interface ReadNode {
  readonly id: number;
  readonly cpus: string | undefined;
  readonly memdev: string | undefined;
}

/** A node without nodeid gets the lowest number that is free. */
function numberNodes(uses: readonly NodeUse[]): ReadNode[] {
  const taken = new Set<number>();
  for (const { nodeid } of uses) {
    if (nodeid === undefined) continue;
    if (taken.has(nodeid)) throw new UserError(`Two nodes of -numa have nodeid=${nodeid}.`);
    taken.add(nodeid);
  }
  const nodes = uses.map(({ nodeid, cpus, memdev }) => {
    let id = nodeid ?? 0;
    while (nodeid === undefined && taken.has(id)) id += 1;
    taken.add(id);
    return { id, cpus, memdev };
  });
  return nodes.sort((left, right) => left.id - right.id);
}

/** Processors that no node lists belong to the first. */
function spreadCpus(nodes: readonly ReadNode[], cpuCount: number): NumaNode[] {
  const owners = new Map<number, number>();
  const listed = nodes.map(({ id, cpus, memdev }) => {
    const what = `cpus of the node ${id} of -numa`;
    const max = cpuCount - 1;
    const own = cpus === undefined ? [] : readNumberList({ source: cpus, what, max, unit: "CPU" });
    for (const cpu of own) {
      const other = owners.get(cpu);
      if (other !== undefined) {
        throw new UserError(`The CPU ${cpu} is listed by two nodes of -numa, ${other} and ${id}.`);
      }
      owners.set(cpu, id);
    }
    return { id, cpus: own, memdev };
  });
  const rest = Array.from({ length: cpuCount }, (_, cpu) => cpu).filter((cpu) => !owners.has(cpu));
  return listed.map((node, index) => {
    const cpus = index === 0 ? [...node.cpus, ...rest] : node.cpus;
    return { ...node, cpus: cpus.sort((left, right) => left - right) };
  });
}

function findBackend(node: NumaNode, id: string, backends: readonly MemoryBackendValues[]) {
  const found = backends.find((backend) => backend.id === id);
  if (found !== undefined) return found;
  const known = backends.map((backend) => backend.id);
  const add = `Add '-object memory-backend-ram,id=${id},size=SIZE'.`;
  const hint = didYouMean(id, known, add);
  throw new UserError(
    `The node ${node.id} of -numa names the memory back end '${id}', which does not exist.${hint}`,
  );
}

function checkMemory(nodes: readonly NumaNode[], { backends, memoryBytes }: NumaInput): void {
  const users = new Map<string, number>();
  let total = 0;
  for (const node of nodes) {
    if (node.memdev === undefined) continue;
    const other = users.get(node.memdev);
    if (other !== undefined) {
      const both = `${other} and ${node.id}`;
      throw new UserError(
        `The memory back end '${node.memdev}' is used by two nodes of -numa, ${both}.`,
      );
    }
    users.set(node.memdev, node.id);
    total += findBackend(node, node.memdev, backends).size;
  }
  if (total !== memoryBytes) {
    const sizes = `${formatSize(total)}, but -m has ${formatSize(memoryBytes)}`;
    throw new UserError(`The memory of the nodes of -numa is together ${sizes}; make them equal.`);
  }
}

/** Distances in the order of the nodes: a row from each. */
function buildDistances(nodes: readonly NumaNode[], uses: readonly DistUse[]): number[][] {
  const given = new Map<string, number>();
  for (const { src, dst, val } of uses) {
    const pair = `src=${src},dst=${dst}`;
    for (const id of [src, dst]) {
      if (nodes.some((node) => node.id === id)) continue;
      throw new UserError(`The node ${id} of -numa dist,${pair} does not exist: add -numa node.`);
    }
    if (given.has(pair)) throw new UserError(`The distance of -numa dist,${pair} is given twice.`);
    if (src === dst && val !== LOCAL) {
      throw new UserError(`-numa dist,${pair} has val=${val}, but a node is ${LOCAL} from itself.`);
    }
    if (src !== dst && val <= LOCAL) {
      throw new UserError(
        `-numa dist,${pair} has val=${val}, but between nodes it is over ${LOCAL}.`,
      );
    }
    given.set(pair, val);
  }
  return nodes.map(({ id: src }) =>
    nodes.map(
      ({ id: dst }) => given.get(`src=${src},dst=${dst}`) ?? (src === dst ? LOCAL : REMOTE),
    ),
  );
}
