// Unpacks the legacy LZ4 frame, in which Debian's cloud kernel is compressed
// (LZ4 project, doc/lz4_Frame_format.md "Legacy frame" and doc/lz4_Block_format.md).

import { UserError } from "../../src/errors.ts";

const blockSizeMax = 8 << 20;
const magicSize = 4;
const matchLengthMin = 4;
const lengthContinues = 15;

/** The bytes of all blocks after the four bytes of magic; a UserError for malformed input. */
export function decompressLz4Legacy(input: Uint8Array): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const blocks: Uint8Array[] = [];
  for (let at = magicSize; at + 4 <= input.length; ) {
    const size = view.getUint32(at, true);
    at += 4;
    if (size === 0 || at + size > input.length) throw new UserError("truncated LZ4 data");
    blocks.push(decompressBlock(input.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat(blocks);
}

function decompressBlock(input: Uint8Array): Uint8Array {
  const output = new Uint8Array(blockSizeMax);
  let read = 0;
  let written = 0;
  const next = () => input[read++] ?? 0;
  const longLength = (short: number): number => {
    let length = short;
    for (let more = 255; short === lengthContinues && more === 255; length += more) more = next();
    return length;
  };
  while (read < input.length) {
    const token = next();
    const literalCount = longLength(token >> 4);
    output.set(input.subarray(read, read + literalCount), written);
    read += literalCount;
    written += literalCount;
    if (read >= input.length) break; // the last sequence has no match
    const distance = next() | (next() << 8);
    const end = written + longLength(token & 15) + matchLengthMin;
    if (distance === 0 || distance > written || end > output.length) {
      throw new UserError("malformed LZ4 data");
    }
    // byte by byte: a match may overlap what it writes
    for (; written < end; written++) output[written] = output[written - distance] ?? 0;
  }
  return output.subarray(0, written);
}
