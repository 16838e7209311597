// What a guest says of its memory and processors, and whether memory above 4 GiB works: Linux
// takes pages from that zone ("Normal") first.

/** Fills 16 MiB and reads them back between two looks at the zone. */
export const memoryScript = `
free() { awk '/zone +Normal/ {n=1} n && /pages free/ {print $3; exit}' /proc/zoneinfo; }
grep MemTotal /proc/meminfo
echo cpus: $(nproc)
echo zone: $(awk '/zone +Normal/ {n=1} n && /present/ {print $2; exit}' /proc/zoneinfo)
before=$(free)
dd if=/dev/zero of=/tmp/fill bs=1M count=16 2> /dev/null
echo used: $((\${before:-0} - $(free)))
echo digest: $(md5sum < /tmp/fill)
`;

const pagesPerMib = 256;
const kibPerMib = 1024;

export interface GuestMemory {
  readonly totalMib: number;
  readonly cpuCount: number;
  /** Memory above 4 GiB. */
  readonly highZoneMib: number;
  /** How much of it the filled file took. */
  readonly highZoneUsedMib: number;
  readonly digest: string;
}

/** Reads what the script printed. */
export function readMemory(console: string): GuestMemory {
  const number = (pattern: RegExp) => Number(pattern.exec(console)?.[1] ?? Number.NaN);
  return {
    totalMib: number(/MemTotal: +(\d+) kB/) / kibPerMib,
    cpuCount: number(/cpus: (\d+)/),
    highZoneMib: number(/zone: (\d*)/) / pagesPerMib,
    highZoneUsedMib: number(/used: (-?\d+)/) / pagesPerMib,
    digest: /digest: ([0-9a-f]+)/.exec(console)?.[1] ?? "",
  };
}
