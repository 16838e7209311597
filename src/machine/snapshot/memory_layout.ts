// Where a template's file 'memory' has the guest's memory: behind a header, in pieces that each
// begin at a multiple of the size of a huge page, so that they can be mapped.

import { CONSTANTS } from "../../core/abi.gen.ts";
import type { SavedPiece } from "./manifest.ts";

/** Where the first piece begins, and a multiple at which each does. */
export const PIECE_ALIGNMENT = CONSTANTS.savePieceAlignment;

/** Where each piece of guest memory lies in the file, and how long that is. */
export function layOut(pieces: readonly Omit<SavedPiece, "offset">[]): {
  readonly pieces: SavedPiece[];
  readonly fileSize: number;
} {
  let end = PIECE_ALIGNMENT;
  const placed = pieces.map(({ address, size }) => {
    const offset = Math.ceil(end / PIECE_ALIGNMENT) * PIECE_ALIGNMENT;
    end = offset + size;
    return { address, size, offset };
  });
  return { pieces: placed, fileSize: end };
}
