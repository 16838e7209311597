// Maps the guest's memory: its zones one after the other into the board's ranges.

import { type MemoryBackend, openMemoryBackend } from "../backends/memory_backend.ts";
import { osModule } from "../builtin.ts";
import { MemoryPolicy, Operation } from "../core/abi.gen.ts";
import type { Core, NewMemory } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { loadSparse } from "../core/snapshot.ts";
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

/** A page-aligned part of the guest's memory in a file. */
interface SavedPiece {
  readonly address: number;
  readonly size: number;
  readonly offset: number;
}

/** Guest memory that is in a file already. */
export interface SavedMemory {
  readonly fd: number;
  /** All of it, in order of addresses. */
  readonly pieces: readonly SavedPiece[];
  /** Whether plain memory shows the file, and a page of its own from its first write on. */
  readonly mapped: boolean;
}

interface Place {
  readonly ranges: readonly AddressRange[];
  readonly resources: Resources;
  readonly saved?: SavedMemory;
}

/**
 * Opens every zone and maps it, with what was saved in it. With prealloc this takes as long as the
 * host needs for it. Returns the pieces that the core has now.
 */
export function addGuestMemory(core: Core, config: Config, place: Place): AddressRange[] {
  const { zones } = config.memory;
  const backends = new Map(
    zones.map((zone) => [zone, place.resources.add(openMemoryBackend(core, zone))]),
  );
  const threads = Math.min(
    osModule().availableParallelism(),
    MAX_PREALLOC_THREADS,
    config.cpu.count,
  );
  return planPieces(zones, place.ranges).flatMap((piece) => {
    const backend = backends.get(piece.zone);
    if (backend === undefined) throw new Error(`${piece.zone.what} was not opened`);
    checkPlace(piece, backend);
    try {
      return addPiece(core, piece.zone, describe(piece, backend, threads), place.saved);
    } catch (error) {
      throw sentenceOf(error, piece, backend) ?? error;
    }
  });
}

/** Memory that others share, or that is to be there at once, gets a copy of what was saved. */
function addPiece(
  core: Core,
  zone: MemoryZone,
  memory: NewMemory,
  saved: SavedMemory | undefined,
): readonly AddressRange[] {
  const parts = saved === undefined ? [] : savedParts(memory, saved.pieces);
  const found = parts.reduce((sum, { size }) => sum + size, 0);
  if (saved !== undefined && found !== memory.size) {
    throw new UserError("The template has its memory at other addresses; save the machine again.");
  }
  const isPlain = memory.fd === -1 && memory.prealloc === 0;
  if (saved?.mapped && isPlain) {
    for (const part of parts) core.addMemory({ ...memory, ...part, fd: saved.fd });
    return parts.map(({ guestAddress: address, size }) => ({ address, size }));
  }
  core.addMemory(memory);
  for (const part of parts) {
    const source = { ...part, fd: saved?.fd ?? -1 };
    // A file of the user's may hold something where the saved one has a hole.
    if (zone.path === undefined) loadSparse(core, source);
    else core.loadMemory(source);
  }
  return [{ address: memory.guestAddress, size: memory.size }];
}

/** Where the file has the memory of one piece; both consist of all the guest's memory. */
function savedParts({ guestAddress, size }: NewMemory, pieces: SavedMemory["pieces"]) {
  return pieces.flatMap((piece) => {
    const start = Math.max(guestAddress, piece.address);
    const end = Math.min(guestAddress + size, piece.address + piece.size);
    const offset = piece.offset + start - piece.address;
    return start < end ? [{ guestAddress: start, size: end - start, offset }] : [];
  });
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
