// The MP table's bytes, and where it and the low memory's end go as processors grow.

import { expect, test } from "bun:test";
import { buildE820 } from "../../src/firmware/e820.ts";
import { buildMpTable } from "../../src/firmware/mptable.ts";

function sumOf(bytes: Uint8Array | undefined): number {
  return (bytes ?? Uint8Array.of(1)).reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function idsUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

test("One processor gives these bytes", () => {
  const [pointer, table] = buildMpTable({ apicIds: [0] }).blobs;
  expect(pointer?.address).toBe(0x9_fc00);
  expect(pointer?.bytes.toHex()).toBe("5f4d505f10fc090001048b0000000000");
  expect(table?.address).toBe(0x9_fc10);
  const hex = table?.bytes.toHex() ?? "";
  const header = "50434d50e00004fc" + "53545241544f2020" + "53545241544f564952542020";
  expect(hex.slice(0, 88)).toBe(`${header}00000000000015000000e0fe00000000`);
  expect(hex.slice(88, 128)).toBe("000014030006000001020000".padEnd(40, "0"));
  expect(hex.slice(128, 160)).toBe("0100495341202020" + "020211010000c0fe");
  expect(hex.slice(160, 192)).toBe("0300000000000200" + "0300000000010201");
  expect(hex.slice(-32)).toBe("0403000000000000" + "040100000000ff01");
});

test.each([1, 2, 40, 41, 254, 255])(
  "With %d processors all entries fit and sum to zero",
  (count) => {
    const { blobs, ebdaStart, ioApicId } = buildMpTable({ apicIds: idsUpTo(count) });
    const [pointer, table] = blobs;
    expect(blobs.map((blob) => sumOf(blob.bytes))).toEqual([0, 0]);
    expect(pointer?.address).toBe(0x9_fc00);
    const end = (table?.address ?? 0) + (table?.bytes.length ?? 0);
    expect(end).toBeLessThanOrEqual(0xa_0000);
    expect(table?.address ?? 0).toBeGreaterThanOrEqual(ebdaStart);
    expect(table?.bytes.length).toBe(44 + 20 * count + 8 + 8 + 16 * 8 + 16);
    expect(ioApicId).toBeLessThan(255);
  },
);

test("The table lies behind the pointer for 40 processors and below it for 41", () => {
  expect(buildMpTable({ apicIds: idsUpTo(40) }).ebdaStart).toBe(0x9_fc00);
  const { blobs, ebdaStart } = buildMpTable({ apicIds: idsUpTo(41) });
  expect(ebdaStart).toBe(0x9_f800);
  expect(blobs[1]?.address).toBe(0x9_f800);
});

test("The I/O APIC id is N + 1, or the first that no processor has", () => {
  expect(buildMpTable({ apicIds: idsUpTo(4) }).ioApicId).toBe(5);
  expect(buildMpTable({ apicIds: [0, 1, 4] }).ioApicId).toBe(2);
  expect(buildMpTable({ apicIds: idsUpTo(254) }).ioApicId).toBe(254);
});

test("An APIC id that needs more than 8 bits is refused", () => {
  expect(() => buildMpTable({ apicIds: [0, 255] })).toThrow(/APIC id 255 does not fit/);
});

const GIBIBYTE = 2 ** 30;
const MAP = { ebdaStart: 0x9_fc00, firmwareStart: 0xd_0000 };

function mapOf(size: number, gapStart: number): number[][] {
  const memory = { size, gapStart, gapEnd: 4 * GIBIBYTE };
  return buildE820({ ...MAP, memory }).map((entry) => [entry.address, entry.size, entry.type]);
}

const BELOW_1M = [
  [0, 0x9_fc00, 1],
  [0x9_fc00, 0x400, 2],
  [0xd_0000, 0x3_0000, 2],
];

test("Memory below the gap is one range, the rest lies above 4 GiB", () => {
  expect(mapOf(GIBIBYTE, 3 * GIBIBYTE)).toEqual([
    ...BELOW_1M,
    [0x10_0000, GIBIBYTE - 0x10_0000, 1],
  ]);
  expect(mapOf(3 * GIBIBYTE, 3 * GIBIBYTE)).toHaveLength(4);
  expect(mapOf(5 * GIBIBYTE, 3 * GIBIBYTE)).toEqual([
    ...BELOW_1M,
    [0x10_0000, 3 * GIBIBYTE - 0x10_0000, 1],
    [4 * GIBIBYTE, 2 * GIBIBYTE, 1],
  ]);
  expect(mapOf(5 * GIBIBYTE, 2 * GIBIBYTE).at(-1)).toEqual([4 * GIBIBYTE, 3 * GIBIBYTE, 1]);
});
