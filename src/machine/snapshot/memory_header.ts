// The first bytes of a template's file 'memory', which tie it to the 'state' beside it.

import { checkMagic, checkVersion, isSame, sha256 } from "./state_file.ts";
import { damaged, wrongSize } from "./template_error.ts";

const FORMAT_VERSION = 1;
const MAGIC = "StratoVirt pages";
/** Offsets, in little endian: the magic is at 0; the checksum covers what is before it. */
const HEADER = { version: 16, id: 20, checksum: 84, size: 116 } as const;

export const MEMORY_HEADER_SIZE = HEADER.size;

/** `id` has 64 letters. */
export function encodeMemoryHeader(id: string): Uint8Array {
  const header = new Uint8Array(HEADER.size);
  new TextEncoder().encodeInto(MAGIC, header);
  new DataView(header.buffer).setUint32(HEADER.version, FORMAT_VERSION, true);
  new TextEncoder().encodeInto(id, header.subarray(HEADER.id, HEADER.checksum));
  header.set(sha256(header.subarray(0, HEADER.checksum)), HEADER.checksum);
  return header;
}

/** The id of a memory file that begins with these bytes. Throws a UserError that names `path`. */
export function decodeMemoryHeader(path: string, header: Uint8Array): string {
  checkMagic(path, header, MAGIC, "memory");
  if (header.length < HEADER.size) throw wrongSize(path, header.length, HEADER.size);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  checkVersion(path, view.getUint32(HEADER.version, true), FORMAT_VERSION);
  const covered = header.subarray(0, HEADER.checksum);
  if (!isSame(sha256(covered), header.subarray(HEADER.checksum, HEADER.size))) {
    throw damaged(path, "its header does not match its checksum");
  }
  return new TextDecoder().decode(covered.subarray(HEADER.id));
}
