// Resource limits of the jailed program: `-rlimit nofile=1024,core=0,stack=1048576:unlimited`.

import { UserError } from "../errors.ts";
import { readKeys, splitEntries } from "../options/parse.ts";
import type { KeySchema } from "../options/schema.ts";

/** Numbers of asm-generic/resource.h, which x86-64 and aarch64 share. */
const resourceNumbers = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

const limitType = {
  kind: "pattern",
  placeholder: "N[:N]",
  pattern: /^(\d{1,19}|unlimited)(:(\d{1,19}|unlimited))?$/,
  expected: "a number or 'unlimited', or two for the soft and the hard limit, like 1024:4096",
} as const;

/** The keys of -rlimit: the names of getrlimit(2) in lower case. */
export const resourceLimitKeys: Readonly<Record<string, KeySchema>> = Object.fromEntries(
  Object.keys(resourceNumbers).map((name) => [name, { type: limitType, help: `RLIMIT_${name}` }]),
);

const UNLIMITED = 2n ** 64n - 1n;

export interface ResourceLimit {
  readonly name: string;
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
}

function numberOf(written: string): bigint {
  return written === "unlimited" ? UNLIMITED : BigInt(written);
}

/** Reads the values of -rlimit; a soft limit above its hard limit is refused. */
export function parseResourceLimits(source: string): ResourceLimit[] {
  const entries = splitEntries("-rlimit", resourceLimitKeys, source);
  readKeys("-rlimit", resourceLimitKeys, entries);
  return entries.map(({ key, value = "" }) => {
    const [softText = "", hardText = softText] = value.split(":");
    const [soft, hard] = [numberOf(softText), numberOf(hardText)];
    if (soft > hard) {
      throw new UserError(
        `The soft limit of -rlimit ${key}=${value} is above its hard limit; write soft:hard.`,
      );
    }
    const resource = Object.entries(resourceNumbers).find(([name]) => name === key)?.[1] ?? 0;
    return { name: key, resource, soft, hard };
  });
}
