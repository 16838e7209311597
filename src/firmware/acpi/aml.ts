// ACPI Machine Language, written as nested calls that read like the ASL they stand for
// (ACPI 6.5 section 20.2). Every function returns the bytes of one term.

import { ByteWriter, concatBytes } from "../byte_writer.ts";

/** The bytes of one AML term. */
export type Aml = Uint8Array;

const OP = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  byte: 0x0a,
  word: 0x0b,
  dword: 0x0c,
  string: 0x0d,
  qword: 0x0e,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  method: 0x14,
  dualNamePrefix: 0x2e,
  multiNamePrefix: 0x2f,
  extended: 0x5b,
  extendedDevice: 0x82,
  return: 0xa4,
} as const;

/** A number in its shortest form; up to 2^53. */
export function integer(value: number): Aml {
  if (value === 0) return Uint8Array.of(OP.zero);
  if (value === 1) return Uint8Array.of(OP.one);
  if (value < 0x100) return new ByteWriter().u8(OP.byte, value).finish();
  if (value < 0x1_0000) return new ByteWriter().u8(OP.word).u16(value).finish();
  if (value < 0x1_0000_0000) return new ByteWriter().u8(OP.dword).u32(value).finish();
  return new ByteWriter().u8(OP.qword).u64(value).finish();
}

/** A NUL-terminated ASCII string. */
export function text(value: string): Aml {
  return new ByteWriter().u8(OP.string).text(value).u8(0).finish();
}

/**
 * A compressed EISA id such as "PNP0501" (ACPI 6.5 section 19.3.4): three letters of 5 bits and
 * four hexadecimal digits, stored big-endian.
 */
export function eisaId(id: string): Aml {
  const match = /^([A-Z])([A-Z])([A-Z])([0-9A-F]{4})$/.exec(id);
  if (match === null) throw new RangeError(`"${id}" is not an EISA id`);
  const letters = [...id.slice(0, 3)].map((letter) => letter.charCodeAt(0) - 0x40);
  const packed = letters.reduce((sum, letter) => (sum << 5) | letter, 0);
  const product = Number.parseInt(id.slice(3), 16);
  const bytes = [packed >> 8, packed & 0xff, product >> 8, product & 0xff];
  return new ByteWriter().u8(OP.dword, ...bytes).finish();
}

/** `Name (path, value)` */
export function name(path: string, value: Aml): Aml {
  return concatBytes([Uint8Array.of(OP.name), namePath(path), value]);
}

/** `Scope (path) { … }` */
export function scope(path: string, terms: readonly Aml[]): Aml {
  return concatBytes([Uint8Array.of(OP.scope), sized([namePath(path), ...terms])]);
}

/** `Device (path) { … }` */
export function device(path: string, terms: readonly Aml[]): Aml {
  const opcode = Uint8Array.of(OP.extended, OP.extendedDevice);
  return concatBytes([opcode, sized([namePath(path), ...terms])]);
}

/** What a method's callers and the interpreter must know. */
export interface MethodOptions {
  /** 0 to 7 */
  readonly argumentCount: number;
  readonly serialized: boolean;
}

/** `Method (path, arguments, Serialized) { … }` */
export function method(path: string, options: MethodOptions, terms: readonly Aml[]): Aml {
  const flags = options.argumentCount | (options.serialized ? 8 : 0);
  const content = [namePath(path), Uint8Array.of(flags), ...terms];
  return concatBytes([Uint8Array.of(OP.method), sized(content)]);
}

/** `Return (value)` */
export function returnValue(value: Aml): Aml {
  return concatBytes([Uint8Array.of(OP.return), value]);
}

/** `Package () { … }` of up to 255 elements. */
export function packageOf(elements: readonly Aml[]): Aml {
  const count = new ByteWriter().u8(elements.length).finish();
  return concatBytes([Uint8Array.of(OP.package), sized([count, ...elements])]);
}

/** `Buffer () { … }` */
export function buffer(bytes: Uint8Array): Aml {
  return concatBytes([Uint8Array.of(OP.buffer), sized([integer(bytes.length), bytes])]);
}

/** A path such as `\_SB.COM1`, `_HID` or `^PCI0`; short segments are padded with `_`. */
export function namePath(path: string): Aml {
  const prefix = /^(\\|\^*)/.exec(path)?.[0] ?? "";
  const segments = path.slice(prefix.length).split(".").filter(Boolean);
  const writer = new ByteWriter().text(prefix);
  if (segments.length === 0) writer.u8(0);
  if (segments.length === 2) writer.u8(OP.dualNamePrefix);
  if (segments.length > 2) writer.u8(OP.multiNamePrefix, segments.length);
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z_0-9]{0,3}$/.test(segment)) {
      throw new RangeError(`"${segment}" in "${path}" is not an ACPI name`);
    }
    writer.text(segment, 4, "_");
  }
  return writer.finish();
}

/** Content behind its PkgLength, which counts itself (ACPI 6.5 section 20.2.4). */
function sized(parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(parts);
  return concatBytes([packageLength(content.length), content]);
}

function packageLength(contentSize: number): Uint8Array {
  if (contentSize + 1 < 0x40) return Uint8Array.of(contentSize + 1);
  for (const extraBytes of [1, 2, 3]) {
    const total = contentSize + 1 + extraBytes;
    if (total >= 2 ** (4 + 8 * extraBytes)) continue;
    const writer = new ByteWriter().u8((extraBytes << 6) | (total & 0xf));
    for (let index = 0; index < extraBytes; index += 1) {
      writer.u8((total >> (4 + 8 * index)) & 0xff);
    }
    return writer.finish();
  }
  throw new RangeError(`${contentSize} bytes are more than an AML package can hold`);
}
