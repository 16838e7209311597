// What differs between the two processors: names, page sizes, relocation numbers, pinned packages.
// A Bun upgrade changes `BUN_VERSION` and both hashes; the other build steps then check the rest.

/** The version of Bun that the static files are made of. */
export const BUN_VERSION = "1.4.5";

export const ARCHITECTURE_NAMES = ["x86_64", "aarch64"] as const;
export type ArchitectureName = (typeof ARCHITECTURE_NAMES)[number];

/** Relocation numbers of the processor's ELF supplement. */
export interface RelocationTypes {
  readonly jumpSlot: number;
  readonly globalData: number;
  readonly absolute: number;
  readonly copy: number;
  readonly threadOffset: number;
}

export interface Architecture {
  readonly name: ArchitectureName;
  /** `e_machine` of the ELF header. */
  readonly machine: number;
  /** The largest page the kernel may use, in bytes; segments are laid out for it. */
  readonly pageSize: number;
  readonly zigTarget: string;
  readonly bunTarget: string;
  /** The npm package that holds the musl build of Bun. */
  readonly bunPackage: string;
  /** SHA-256 of `bin/bun` in that package. */
  readonly bunSha256: string;
  readonly relocation: RelocationTypes;
  /** Bun's thread-local block ends at the thread pointer (last) or begins there (first). */
  readonly threadLocalBlock: "last" | "first";
}

const X86_64: Architecture = {
  name: "x86_64",
  machine: 62,
  pageSize: 4096,
  zigTarget: "x86_64-linux-musl",
  bunTarget: "bun-linux-x64-musl",
  bunPackage: "@oven/bun-linux-x64-musl",
  bunSha256: "cf5d285ddbe256785a5121a3c113191a6b577504976374c7cfd5aedca609b720",
  relocation: { jumpSlot: 7, globalData: 6, absolute: 1, copy: 5, threadOffset: 18 },
  threadLocalBlock: "last",
};

const AARCH64: Architecture = {
  name: "aarch64",
  machine: 183,
  pageSize: 65536,
  zigTarget: "aarch64-linux-musl",
  bunTarget: "bun-linux-arm64-musl",
  bunPackage: "@oven/bun-linux-aarch64-musl",
  bunSha256: "9c48986093073afec8b76a3e285303598dd2462f52748aecb65e4d94866e1ea3",
  relocation: {
    jumpSlot: 1026,
    globalData: 1025,
    absolute: 257,
    copy: 1024,
    threadOffset: 1030,
  },
  threadLocalBlock: "first",
};

export const ARCHITECTURES: Readonly<Record<ArchitectureName, Architecture>> = {
  x86_64: X86_64,
  aarch64: AARCH64,
};
