// What a template says about itself: the machine that was saved, and where its parts lie. It is the
// first thing in the file 'state'; a restore compares it with its own command line.

import * as v from "valibot";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const name = v.pipe(v.string(), v.minLength(1));
const scalar = v.union([v.string(), v.number(), v.boolean()]);

const device = v.strictObject({
  id: name,
  driver: name,
  /** Where the guest finds it. */
  address: count,
  irq: count,
  /** What its guest may have seen of its configuration. */
  settings: v.record(v.string(), scalar),
});

const section = v.strictObject({
  name,
  size: count,
  sha256: v.pipe(v.string(), v.hash(["sha256"])),
});

const piece = v.strictObject({
  /** In the guest. */
  address: count,
  size: count,
  /** In the file 'memory'. */
  offset: count,
});

const manifestSchema = v.strictObject({
  /** The file 'memory' has the same. */
  id: v.pipe(v.string(), v.hash(["sha256"])),
  savedAt: v.string(),
  /** Version of the program that saved it. */
  program: v.string(),
  host: v.strictObject({ arch: name, kvmApi: count, cpuVendor: v.string() }),
  machine: v.strictObject({
    type: name,
    accel: name,
    pit: v.boolean(),
    serial: v.boolean(),
    replaceable: v.boolean(),
  }),
  cpu: v.strictObject({ count }),
  memory: v.strictObject({
    size: count,
    pieces: v.pipe(v.array(piece), v.minLength(1)),
    fileSize: count,
    /** Bytes of the file that each checksum of the section of that name covers. */
    chunkSize: count,
  }),
  devices: v.array(device),
  /** What follows the manifest, in order. */
  sections: v.array(section),
});

export type Manifest = v.InferOutput<typeof manifestSchema>;
export type SavedDevice = v.InferOutput<typeof device>;
export type SavedPiece = v.InferOutput<typeof piece>;

/** What is wrong with a manifest, as the end of a sentence; undefined for one that is whole. */
export function faultOf(value: unknown): string | undefined {
  const { issues } = v.safeParse(manifestSchema, value);
  if (issues === undefined) return undefined;
  const path = v.getDotPath(issues[0]) ?? "the whole";
  const { received, expected } = issues[0];
  if (received === "undefined") return `'${path}' is missing`;
  return `'${path}' is ${received}, not ${expected ?? "of the right kind"}`;
}
