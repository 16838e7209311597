// How an option, a driver and a key are declared, and the TypeScript types that follow from a
// declaration. Parser, help, JSON schema, suggestions and QMP's device_add all read these objects.

/** What the text of a value may be; values.ts reads, describes and checks each kind. */
export type ValueType =
  | { readonly kind: "text"; readonly placeholder: string; readonly maxBytes: number }
  | { readonly kind: "boolean"; readonly yes: readonly string[]; readonly no: readonly string[] }
  | { readonly kind: "flag" }
  | IntegerType
  | { readonly kind: "size"; readonly min: number; readonly max: number }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | {
      readonly kind: "pattern";
      readonly placeholder: string;
      readonly pattern: RegExp;
      readonly expected: string;
    };

export interface IntegerType {
  readonly kind: "integer";
  readonly min: number;
  readonly max: number;
  /** Also accept 0x… */
  readonly hex?: true;
  readonly powerOfTwo?: true;
}

export type Scalar = string | number | boolean;

export interface KeySchema {
  readonly type: ValueType;
  readonly help: string;
  readonly required?: true;
  readonly default?: Scalar;
  /** The first part of the option's value may be this key's value without `key=`. */
  readonly positional?: true;
  /** Other spellings, where the guidebook and upstream differ. */
  readonly aliases?: readonly string[];
  /** Known, but refused by this build with one sentence. */
  readonly supported?: false;
  /** The values this build acts on; all others are refused with one sentence. */
  readonly supportedValues?: readonly Scalar[];
}

export type Keys = Readonly<Record<string, KeySchema>>;

/** One driver, back end or object type: what follows `-device NAME,` and the like. */
export interface VariantSchema {
  readonly help: string;
  readonly keys: Keys;
  readonly supported?: false;
}

export type Variants = Readonly<Record<string, VariantSchema>>;

export const optionGroups = ["Machine", "Boot", "Devices", "Control", "Process"] as const;

interface OptionCommon {
  /** Without the dash. */
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: (typeof optionGroups)[number];
  readonly help: string;
  readonly repeatable?: true;
  readonly supported?: false;
}

export type OptionSchema = OptionCommon &
  (
    | { readonly shape: "flag" }
    | { readonly shape: "value"; readonly type: ValueType; readonly optional?: true }
    | { readonly shape: "words" }
    | { readonly shape: "keys"; readonly keys: Keys }
    | { readonly shape: "variants"; readonly selector: string; readonly variants: Variants }
    | { readonly shape: "ignored" }
  );

/** `queue-size`, `max_outputs` and `throttling.iops-total` in camelCase. */
export type Camel<S> = S extends `${infer Head}${"-" | "_" | "."}${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail> & string>}`
  : S;

export type ValueOf<T extends ValueType> = T extends { kind: "boolean" | "flag" }
  ? boolean
  : T extends { kind: "integer" | "size" }
    ? number
    : T extends { kind: "choice"; choices: readonly (infer C)[] }
      ? C
      : string;

type AlwaysSet =
  | { readonly required: true }
  | { readonly default: Scalar }
  | { readonly type: { readonly kind: "flag" } };

/** The values of a set of keys, named in camelCase; unset keys are undefined. */
export type KeyValues<K extends Keys> = {
  readonly [N in keyof K as Camel<N>]:
    | ValueOf<K[N]["type"]>
    | (K[N] extends AlwaysSet ? never : undefined);
};

/** The names of the variants that this build acts on. */
export type SupportedName<V extends Variants> = {
  [N in keyof V]: V[N] extends { supported: false } ? never : N;
}[keyof V];

/** A union over the supported variants, discriminated by the camelCase selector. */
export type VariantValues<V extends Variants, S extends string> = {
  [N in SupportedName<V>]: { readonly [P in S]: N } & KeyValues<V[N]["keys"]>;
}[SupportedName<V>];

/** At most 255 bytes (ids and names, upstream's limit). */
export function text(placeholder: string, maxBytes = 255) {
  return { kind: "text", placeholder, maxBytes } as const;
}

export const id = text("ID");
export const path = text("PATH", 4096);
/** sockaddr_un.sun_path has 108 bytes, the last of which is the terminator (unix(7)). */
export const socketPath = text("PATH", 107);
export const flag = { kind: "flag" } as const;
export const boolean = {
  kind: "boolean",
  yes: ["on", "true", "yes"],
  no: ["off", "false", "no"],
} as const;

/** A whole number from min to max. */
export function integer(min: number, max: number, extra: Pick<IntegerType, "hex"> = {}) {
  return { kind: "integer", min, max, ...extra } as const;
}

/** A power of two from min to max. */
export function powerOfTwo(min: number, max: number) {
  return { kind: "integer", min, max, powerOfTwo: true } as const;
}

/** A number of bytes with a unit K, M or G; without one it is MiB. */
export function size(min: number, max: number) {
  return { kind: "size", min, max } as const;
}

/** One of some words. */
export function choice<const C extends readonly string[]>(...choices: C) {
  return { kind: "choice", choices } as const;
}

export const uint32 = integer(0, 0xffff_ffff);

export const mac = {
  kind: "pattern",
  placeholder: "MAC",
  pattern: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i,
  expected: "a MAC address like 52:54:00:12:34:56",
} as const;

export const pciAddress = {
  kind: "pattern",
  placeholder: "SLOT[.FUNCTION]",
  pattern: /^(0x)?[0-9a-f]{1,2}(\.(0x)?[0-7])?$/i,
  expected: "a slot from 0 to 0x1f and optionally a function from 0 to 7, like 0x2 or 0x2.0x0",
} as const;

export const numberList = {
  kind: "pattern",
  placeholder: "N[-N][:N[-N]]",
  pattern: /^\[?\d+(-\d+)?(:\d+(-\d+)?)*\]?$/,
  expected: "numbers and ranges separated by colons, like 0-3:6",
} as const;

export const descriptorList = {
  kind: "pattern",
  placeholder: "FD[:FD]",
  pattern: /^\d+(:\d+)*$/,
  expected: "file descriptor numbers separated by colons, like 20:21",
} as const;

export const ipAddress = {
  kind: "pattern",
  placeholder: "IP",
  pattern: /^([0-9.]+|localhost|\[[0-9a-f:.]+\]|[0-9a-f.]*:[0-9a-f:.]*)$/i,
  expected: "an IP address like 127.0.0.1 or [::1]",
} as const;

export const hostAndPort = {
  kind: "pattern",
  placeholder: "IP:PORT",
  pattern: /^(\d{1,3}(\.\d{1,3}){3}|localhost|\[[0-9a-f:.]+\]):\d{1,5}$/i,
  expected: "an address and a port like 127.0.0.1:4444",
} as const;
