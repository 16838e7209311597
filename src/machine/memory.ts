// Maps the guest's memory: its zones one after the other into the board's ranges.

import { type MemoryBackend, openMemoryBackend } from "../backends/memory_backend.ts";
import { osModule } from "../builtin.ts";
import { MemoryPolicy, Operation } from "../core/abi.gen.ts";
import type { Core, NewMemory } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { UserError } from "../errors.ts";
import type { AddressRange } from "../firmware/e820.ts";
import type { Config, MemoryZone } from "../options/config.ts";
import { formatSize } from "../options/values.ts";
import type { Resources } from "./resources.ts";

/** More threads than this wait for each other in the host's page allocator (behaviour 0.2). */
const MAX_PREALLOC_THREADS = 16;

/** The part of a zone that lies in one range. */
interface Piece {
  readonly zone: MemoryZone;
  /** From the start of the zone. */
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  /** Size of the range: host addresses are kept for all of it, so that no piece ends a buffer. */
  readonly rangeSize: number;
}

/** Cuts zones where ranges end; both have the same size altogether. */
export function planPieces(zones: readonly MemoryZone[], ranges: readonly AddressRange[]): Piece[] {
  const pieces: Piece[] = [];
  let zoneStart = 0;
  for (const zone of zones) {
    let rangeStart = 0;
    for (const range of ranges) {
      const start = Math.max(zoneStart, rangeStart);
      const end = Math.min(zoneStart + zone.sizeBytes, rangeStart + range.size);
      if (start < end) {
        const address = range.address + start - rangeStart;
        const place = { address, offset: start - zoneStart, size: end - start };
        pieces.push({ zone, ...place, rangeSize: range.size });
      }
      rangeStart += range.size;
    }
    zoneStart += zone.sizeBytes;
  }
  return pieces;
}

/** Opens every zone and maps it. With prealloc this takes as long as the host needs for it. */
export function addGuestMemory(
  core: Core,
  config: Config,
  place: { readonly ranges: readonly AddressRange[]; readonly resources: Resources },
): void {
  const { zones } = config.memory;
  const backends = new Map(
    zones.map((zone) => [zone, place.resources.add(openMemoryBackend(core, zone))]),
  );
  const threads = Math.min(
    osModule().availableParallelism(),
    MAX_PREALLOC_THREADS,
    config.cpu.count,
  );
  for (const piece of planPieces(zones, place.ranges)) {
    const backend = backends.get(piece.zone);
    if (backend === undefined) throw new Error(`${piece.zone.what} was not opened`);
    checkPlace(piece, backend);
    try {
      core.addMemory(describe(piece, backend, threads));
    } catch (error) {
      throw sentenceOf(error, piece, backend) ?? error;
    }
  }
}

function describe(piece: Piece, { fd, pageSize }: MemoryBackend, threads: number): NewMemory {
  const { zone } = piece;
  const nodes = zone.hostNodes.reduce((bits, node) => bits | (1n << BigInt(node)), 0n);
  return {
    guestAddress: piece.address,
    size: piece.size,
    spanSize: piece.rangeSize,
    fd,
    offset: piece.offset,
    shared: zone.share ? 1 : 0,
    dump: zone.dump ? 1 : 0,
    reserve: isHuge(pageSize) ? 1 : 0,
    prealloc: zone.prealloc ? threads : 0,
    policy: MemoryPolicy[zone.policy],
    nodesLow: BigInt.asUintN(64, nodes),
    nodesHigh: nodes >> 64n,
  };
}

function isHuge(pageSize: number): boolean {
  return pageSize > 4096;
}

/** A huge page can only lie at a multiple of its size. */
function checkPlace({ zone, address, size }: Piece, { pageSize }: MemoryBackend): void {
  if (address % pageSize === 0 && size % pageSize === 0) return;
  const pages = formatSize(pageSize);
  throw new UserError(
    `The pages of ${zone.what} have ${pages}, but its ${formatSize(size)} begin at ` +
      `${formatSize(address)} of the guest's memory; nodes must begin at multiples of ${pages}.`,
  );
}

function sentenceOf(error: unknown, piece: Piece, backend: MemoryBackend): UserError | undefined {
  if (!(error instanceof CoreError)) return undefined;
  const { what, policy, hostNodes } = piece.zone;
  const size = formatSize(piece.size);
  const code = errnoText(error.errno);
  const { pageSize } = backend;
  switch (error.operation) {
    case Operation.memoryMap: {
      const fix = isHuge(pageSize)
        ? `it has too few free huge pages of ${formatSize(pageSize)} (vm.nr_hugepages)`
        : "ask for less, or let the host give more (ulimit -v, vm.overcommit_memory)";
      return new UserError(`The host cannot map ${size} for ${what} (${code}): ${fix}.`);
    }
    case Operation.memoryPolicy:
      return new UserError(
        `The host does not place ${what} by policy=${policy} on its nodes ` +
          `${hostNodes.join(", ")} (${code}); use policy=default.`,
      );
    case Operation.memoryPopulate:
      return new UserError(
        `The host cannot give all ${size} of ${what} before the start (${code}); ` +
          "ask for less, or leave prealloc out.",
      );
    default:
      return undefined;
  }
}
