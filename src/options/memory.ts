// Where the guest's memory comes from: -m, -mem-path, -mem-prealloc, mem-share of -machine and the
// memory-backend objects of -numa (behaviour 0.2 and 1.5).

import { UserError } from "../errors.ts";
import type {
  Config,
  MachineConfig,
  MemoryBackendValues,
  MemoryZone,
  ObjectValues,
} from "./config.ts";
import { buildNuma } from "./numa.ts";
import { readNumberList } from "./number_list.ts";
import { formatSize } from "./values.ts";

const maxHostNode = 127;
const PAGE_SIZE = 4096;

/** What holds for all memory that says nothing else. */
interface MemoryDefaults {
  readonly machine: MachineConfig;
  /** -mem-prealloc. */
  readonly prealloc: boolean;
}

export interface MemoryInput extends MemoryDefaults {
  readonly sizeBytes: number;
  /** -mem-path. */
  readonly path: string | undefined;
  readonly backends: readonly MemoryBackendValues[];
  /** The values of -numa. */
  readonly numa: readonly string[];
  /** Most processors of the machine. */
  readonly cpuCount: number;
}

/** The guest's memory and nodes. With -numa each node's back end counts, and -mem-path does not. */
export function buildMemory(input: MemoryInput): Pick<Config, "memory" | "numa"> {
  const { sizeBytes, path, backends, cpuCount } = input;
  checkPages("The guest's memory (-m)", sizeBytes);
  const read = backends.map((backend) => readBackend(backend, input));
  const numa = buildNuma({ sources: input.numa, backends, cpuCount, memoryBytes: sizeBytes });
  if (numa === undefined) {
    return { memory: { sizeBytes, zones: [wholeMemory(sizeBytes, path, input)] }, numa };
  }
  const zones = numa.nodes.flatMap(({ memdev }) => {
    const zone = read[backends.findIndex(({ id }) => id === memdev)];
    return zone === undefined ? [] : [zone];
  });
  return { memory: { sizeBytes, zones }, numa };
}

/** Throws for a size that no page size divides. */
function checkPages(what: string, sizeBytes: number): void {
  if (sizeBytes % PAGE_SIZE === 0) return;
  const size = formatSize(sizeBytes);
  throw new UserError(`${what} has ${size}, which is not a multiple of the page size of 4K.`);
}

/** All of the guest's memory in one zone, for a machine without -numa. */
function wholeMemory(
  sizeBytes: number,
  path: string | undefined,
  { machine, prealloc }: MemoryDefaults,
): MemoryZone {
  const anonymous = machine.memShare ? "memfd" : "ram";
  return {
    what: "the guest's memory",
    kind: path === undefined ? anonymous : "file",
    path: path?.replace(/^"(.*)"$/, "$1"),
    sizeBytes,
    share: machine.memShare,
    dump: machine.dumpGuestCore,
    prealloc,
    policy: "default",
    hostNodes: [],
  };
}

export function isMemoryBackend(object: ObjectValues): object is MemoryBackendValues {
  return object.type.startsWith("memory-backend-");
}

function kindOf({ type }: MemoryBackendValues): MemoryZone["kind"] {
  switch (type) {
    case "memory-backend-ram":
      return "ram";
    case "memory-backend-file":
      return "file";
    case "memory-backend-memfd":
      return "memfd";
  }
}

/** A memory-backend object with the machine's defaults filled in. */
function readBackend(
  backend: MemoryBackendValues,
  { machine, prealloc }: MemoryDefaults,
): MemoryZone {
  const { id, size, policy, hostNodes } = backend;
  const what = `the memory back end '${id}'`;
  checkPages(`The memory back end '${id}'`, size);
  if (policy !== "default" && hostNodes === undefined) {
    throw new UserError(
      `The memory back end '${id}' has policy=${policy} without nodes to use: add host-nodes=N.`,
    );
  }
  const kind = kindOf(backend);
  return {
    what,
    kind,
    path: backend.type === "memory-backend-file" ? backend.memPath : undefined,
    sizeBytes: size,
    share: backend.share ?? (kind !== "ram" || machine.memShare),
    dump: backend.dumpGuestCore && machine.dumpGuestCore,
    prealloc: backend.prealloc ?? prealloc,
    policy,
    hostNodes: readHostNodes(id, hostNodes),
  };
}

function readHostNodes(id: string, source: string | undefined): number[] {
  if (source === undefined) return [];
  const what = `host-nodes of the memory back end '${id}'`;
  return readNumberList({ source, what, max: maxHostNode, unit: "host node" });
}
