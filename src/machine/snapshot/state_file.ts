// The file 'state' of a template as bytes: a header, the manifest as JSON, then the states of the
// machine's parts one after the other. Checksums cover all of it; whatever is read is checked.

import { CONSTANTS } from "../../core/abi.gen.ts";
import { faultOf, type Manifest } from "./manifest.ts";
import { layOut } from "./memory_layout.ts";
import { damaged, foreign, newer, wrongSize } from "./template_error.ts";

/** Saved bytes under a name, such as "vcpu 0". */
export interface Section {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface StateFile {
  readonly manifest: Manifest;
  /** By their names. */
  readonly sections: ReadonlyMap<string, Uint8Array>;
}

const FORMAT_VERSION = 1;
const MAGIC = "StratoVirt state";
const SHA256_SIZE = 32;
const PAGE_SIZE = 4096;
/** Offsets of the header, in little endian: the magic is at 0. */
const HEADER = { version: 16, manifestSize: 20, fileSize: 24, checksum: 32, size: 64 } as const;

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(bytes).digest();
}

/** A manifest but for what this file adds. */
export type Description = Omit<Manifest, "sections">;

export function encodeState(description: Description, sections: readonly Section[]): Uint8Array {
  const manifest: Manifest = {
    ...description,
    sections: sections.map(({ name, bytes }) => ({
      name,
      size: bytes.length,
      sha256: sha256(bytes).toHex(),
    })),
  };
  const json = new TextEncoder().encode(JSON.stringify(manifest));
  const bodySize = sections.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const file = new Uint8Array(HEADER.size + json.length + bodySize);
  const view = new DataView(file.buffer);
  new TextEncoder().encodeInto(MAGIC, file);
  view.setUint32(HEADER.version, FORMAT_VERSION, true);
  view.setUint32(HEADER.manifestSize, json.length, true);
  view.setBigUint64(HEADER.fileSize, BigInt(file.length), true);
  file.set(sha256(json), HEADER.checksum);
  file.set(json, HEADER.size);
  let offset = HEADER.size + json.length;
  for (const { bytes } of sections) {
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}

/** Throws a UserError that names `path` unless every byte is as it was written. */
export function decodeState(path: string, file: Uint8Array): StateFile {
  checkMagic(path, file, MAGIC, "state");
  if (file.length < HEADER.size) throw wrongSize(path, file.length, HEADER.size);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  checkVersion(path, view.getUint32(HEADER.version, true), FORMAT_VERSION);
  const fileSize = Number(view.getBigUint64(HEADER.fileSize, true));
  if (file.length !== fileSize) throw wrongSize(path, file.length, fileSize);
  const bodyStart = HEADER.size + view.getUint32(HEADER.manifestSize, true);
  const json = file.subarray(HEADER.size, bodyStart);
  if (!isSame(sha256(json), file.subarray(HEADER.checksum, HEADER.checksum + SHA256_SIZE))) {
    throw damaged(path, "its manifest does not match its checksum");
  }
  const manifest = readManifest(path, json);
  return { manifest, sections: readSections(path, manifest, file.subarray(bodyStart)) };
}

/** A manifest whose checksum is right can be wrong only if another program wrote it. */
function readManifest(path: string, json: Uint8Array): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(json));
  } catch {
    throw damaged(path, "its manifest is no JSON");
  }
  const fault = faultOf(value);
  if (fault !== undefined) throw damaged(path, `in its manifest ${fault}`);
  const manifest = value as Manifest;
  if (isLaidOut(manifest.memory)) return manifest;
  throw damaged(path, "its pieces of memory do not lie as they should");
}

/** The pieces are all of the memory, in whole pages and in the file's order. */
function isLaidOut({ pieces, size, fileSize, chunkSize }: Manifest["memory"]): boolean {
  const expected = layOut(pieces);
  const isInPlace = pieces.every(({ offset }, index) => offset === expected.pieces[index]?.offset);
  const ends = pieces.flatMap((piece) => [piece.address, piece.size]);
  const isWhole = ends.every((end) => end % PAGE_SIZE === 0);
  const sum = pieces.reduce((total, piece) => total + piece.size, 0);
  if (chunkSize !== CONSTANTS.saveChunkSize) return false;
  return isInPlace && isWhole && sum === size && fileSize === expected.fileSize;
}

function readSections(path: string, manifest: Manifest, body: Uint8Array) {
  const sections = new Map<string, Uint8Array>();
  let offset = 0;
  for (const { name, size, sha256: expected } of manifest.sections) {
    const bytes = body.subarray(offset, offset + size);
    offset += size;
    if (bytes.length !== size) throw damaged(path, `it ends within '${name}'`);
    if (sha256(bytes).toHex() !== expected) {
      throw damaged(path, `'${name}' does not match its checksum`);
    }
    if (sections.has(name)) throw damaged(path, `'${name}' is there twice`);
    sections.set(name, bytes);
  }
  if (offset !== body.length) throw damaged(path, "there is more than its manifest tells of");
  return sections;
}

/** The first 16 bytes tell a file of ours, also one that is cut short. */
export function checkMagic(path: string, file: Uint8Array, magic: string, kind: string): void {
  const found = new TextDecoder().decode(file.subarray(0, magic.length));
  if (found === "" || !magic.startsWith(found)) throw foreign(path, kind);
}

/** Version 0 was never written. */
export function checkVersion(path: string, version: number, known: number): void {
  if (version > known) throw newer(path, version, known);
  if (version !== known) throw damaged(path, `its format ${version} does not exist`);
}

export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
