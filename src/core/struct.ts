// Encodes and decodes the structs of the ABI from their generated layouts.

import { ptr } from "bun:ffi";

type ScalarKind = "u8" | "u16" | "u32" | "i32" | "u64" | "i64";

export type FieldLayout =
  | { readonly offset: number; readonly kind: ScalarKind | "bits64" | "pointer" }
  | { readonly offset: number; readonly kind: "bytes"; readonly length: number }
  | { readonly offset: number; readonly kind: "struct"; readonly layout: StructLayout };

export interface StructLayout {
  readonly size: number;
  readonly fields: Readonly<Record<string, FieldLayout>>;
}

type FieldValue<F extends FieldLayout> = F extends { kind: "struct"; layout: infer L }
  ? L extends StructLayout
    ? StructValue<L>
    : never
  : F extends { kind: "bytes" | "pointer" }
    ? Uint8Array
    : F extends { kind: "bits64" }
      ? bigint
      : number;

/** A struct in TypeScript: numbers, bigints for raw 64-bit values, bytes, inner structs. */
export type StructValue<L extends StructLayout> = {
  readonly [K in keyof L["fields"]]: FieldValue<L["fields"][K]>;
};

/** Bytes of a struct; 64-bit numbers must be whole, positive and below 2^53. */
export function encode<L extends StructLayout>(layout: L, value: StructValue<L>): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  encodeInto(new DataView(bytes.buffer), layout, value as Record<string, unknown>, 0);
  return bytes;
}

/** Bytes of an array of structs, one after the other. */
export function encodeArray<L extends StructLayout>(
  layout: L,
  values: readonly StructValue<L>[],
): Uint8Array {
  const bytes = new Uint8Array(Math.max(1, values.length) * layout.size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    encodeInto(view, layout, value as Record<string, unknown>, index * layout.size);
  });
  return bytes;
}

function encodeInto(
  view: DataView,
  layout: StructLayout,
  value: Record<string, unknown>,
  base: number,
): void {
  for (const [name, field] of Object.entries(layout.fields)) {
    const given = value[name];
    const at = base + field.offset;
    switch (field.kind) {
      case "struct":
        encodeInto(view, field.layout, given as Record<string, unknown>, at);
        break;
      case "bytes":
        new Uint8Array(view.buffer).set((given as Uint8Array).subarray(0, field.length), at);
        break;
      case "pointer":
        view.setBigUint64(at, addressOf(given as Uint8Array), true);
        break;
      case "bits64":
        view.setBigUint64(at, given as bigint, true);
        break;
      default:
        encodeScalar(view, field.kind, at, given as number, name);
    }
  }
}

function addressOf(bytes: Uint8Array): bigint {
  return bytes.byteLength === 0 ? 0n : BigInt(ptr(bytes));
}

function encodeScalar(
  view: DataView,
  kind: ScalarKind,
  at: number,
  value: number,
  name: string,
): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${name} is ${value}, not a whole number`);
  switch (kind) {
    case "u8":
      view.setUint8(at, value);
      break;
    case "u16":
      view.setUint16(at, value, true);
      break;
    case "u32":
      view.setUint32(at, value, true);
      break;
    case "i32":
      view.setInt32(at, value, true);
      break;
    case "u64":
      view.setBigUint64(at, BigInt(value), true);
      break;
    case "i64":
      view.setBigInt64(at, BigInt(value), true);
      break;
  }
}

/** The value that Zig wrote into `bytes`. */
export function decode<L extends StructLayout>(layout: L, bytes: Uint8Array): StructValue<L> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return decodeFrom(view, layout, 0) as StructValue<L>;
}

function decodeFrom(view: DataView, layout: StructLayout, base: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(layout.fields)) {
    value[name] = decodeField(view, field, base + field.offset);
  }
  return value;
}

function decodeField(view: DataView, field: FieldLayout, at: number): unknown {
  switch (field.kind) {
    case "struct":
      return decodeFrom(view, field.layout, at);
    case "bytes":
      return new Uint8Array(
        view.buffer.slice(view.byteOffset + at, view.byteOffset + at + field.length),
      );
    case "pointer":
    case "bits64":
      return view.getBigUint64(at, true);
    case "u8":
      return view.getUint8(at);
    case "u16":
      return view.getUint16(at, true);
    case "u32":
      return view.getUint32(at, true);
    case "i32":
      return view.getInt32(at, true);
    case "u64":
      return Number(view.getBigUint64(at, true));
    case "i64":
      return Number(view.getBigInt64(at, true));
  }
}
