// The limit of virtio-rng: so many bytes in a period are so many bytes a second (guidebook 2.8).

interface RateKeys {
  readonly maxBytes: number | undefined;
  /** Milliseconds. */
  readonly period: number | undefined;
}

/** Undefined: no limit. */
export function bytesPerSecond({ maxBytes, period }: RateKeys): number | undefined {
  if (maxBytes === undefined || period === undefined) return undefined;
  return (maxBytes * 1000) / period;
}
