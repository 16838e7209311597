// Compares a template's memory with the checksums that were taken when it was written.

import { CONSTANTS } from "../../core/abi.gen.ts";
import { Core } from "../../core/core.ts";
import { checksumsOfFile } from "../../core/snapshot.ts";
import { isSame } from "./state_file.ts";
import { TEMPLATE_FILE, type Template } from "./template.ts";
import { damaged } from "./template_error.ts";

/** The section of 32 bits for each chunk of each piece. */
export const CHECKSUMS = "memory checksums";
const CHECKSUM_SIZE = 4;

/** Reads all of the memory. Throws a UserError for the first place that is not as written. */
export function checkMemory(template: Template): void {
  const core = Core.create();
  try {
    checkPieces(core, template);
  } finally {
    core.destroy();
  }
}

function checkPieces(core: Core, { folder, manifest, sections, memoryFd }: Template): void {
  const path = `${folder}/${TEMPLATE_FILE.memory[0]}`;
  const expected = sections.get(CHECKSUMS) ?? new Uint8Array(0);
  let position = 0;
  for (const piece of manifest.memory.pieces) {
    for (let done = 0; done < piece.size; done += CONSTANTS.transferSizeMax) {
      const size = Math.min(CONSTANTS.transferSizeMax, piece.size - done);
      const offset = piece.offset + done;
      const found = checksumsOfFile(core, memoryFd, offset, size);
      const saved = expected.subarray(position, position + found.length);
      position += found.length;
      if (isSame(found, saved)) continue;
      const chunk = Math.floor(
        found.findIndex((byte, index) => byte !== saved[index]) / CHECKSUM_SIZE,
      );
      const place = offset + chunk * CONSTANTS.saveChunkSize;
      throw damaged(path, `its megabyte at ${place} does not match its checksum`);
    }
  }
}
