// ACPI tables: golden bytes for the terms, and iasl as the judge of whole tables.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AcpiDescription, buildAcpi } from "../../src/firmware/acpi/acpi.ts";
import * as aml from "../../src/firmware/acpi/aml.ts";
import { extendedInterrupt } from "../../src/firmware/acpi/resources.ts";

const REGISTER = { space: "io", address: 0xce9, width: 8 } as const;

function describeMachine(): AcpiDescription {
  const ids = Array.from({ length: 260 }, (_, index) => index);
  return {
    fadt: {
      resetRegister: { space: "io", address: 0xcf9, width: 8 },
      resetValue: 0x0f,
      sleepControl: REGISTER,
      sleepStatus: REGISTER,
      hasKeyboardController: true,
      hasRtc: true,
    },
    madt: {
      processors: ids.map((id) => ({ uid: id, apicId: id, state: "enabled" })),
      ioApic: { id: 9, address: 0xfec0_0000, gsiBase: 0 },
      sourceOverrides: [{ irq: 9, gsi: 9, flags: 0xd }],
      hasLegacyPic: true,
    },
    dsdt: {
      processorUids: ids,
      serialPorts: [{ port: 0x3f8, count: 8, irq: 4 }],
      rtc: { port: 0x70, count: 8, irq: 8 },
      virtioMmioDevices: [
        { address: 0xf010_0000, size: 512, irq: 5 },
        { address: 0xf010_0200, size: 512, irq: 6 },
      ],
      systemBusTerms: [
        aml.method("TEST", { argumentCount: 0, serialized: true }, [
          aml.returnValue(aml.integer(2 ** 40)),
        ]),
      ],
    },
  };
}

let folder = "";
const sources = new Map<string, string>();
const tables = new Map(buildAcpi(describeMachine()).blobs.map((blob) => [blob.name, blob]));

function iasl(...options: string[]): string {
  const run = Bun.spawnSync(["iasl", ...options], { cwd: folder, stderr: "pipe" });
  return `${run.stdout}${run.stderr}`;
}

const haveIasl = Bun.which("iasl") !== null;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "acpi-test-"));
  for (const name of haveIasl ? ["DSDT", "FADT", "MADT", "XSDT"] : []) {
    writeFileSync(join(folder, `${name}.aml`), tableBytes(name));
    iasl("-d", `${name}.aml`);
    sources.set(name, readFileSync(join(folder, `${name}.dsl`), "utf8"));
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tableBytes(name: string): Uint8Array {
  return tables.get(`ACPI ${name}`)?.bytes ?? new Uint8Array(0);
}

const TERMS: [string, Uint8Array, string][] = [
  ["zero", aml.integer(0), "00"],
  ["a byte", aml.integer(5), "0a05"],
  ["a word", aml.integer(0x1234), "0b3412"],
  ["a double word", aml.integer(0xf010_0000), "0c000010f0"],
  ["a quad word", aml.integer(2 ** 32), "0e0000000001000000"],
  ["a string", aml.text("AB"), "0d414200"],
  ["PNP0501", aml.eisaId("PNP0501"), "0c41d00501"],
  ["a short name", aml.namePath("RTC"), "5254435f"],
  ["a root path", aml.namePath("\\_SB.COM1"), "5c2e5f53425f434f4d31"],
  ["a parent path", aml.namePath("^A.B.C"), "5e2f03415f5f5f425f5f5f435f5f5f"],
  ["a name", aml.name("_UID", aml.integer(1)), "085f55494401"],
  ["a device", aml.device("DEV0", []), "5b820544455630"],
  ["a package", aml.packageOf([aml.integer(5), aml.integer(0)]), "1205020a0500"],
  ["a buffer of 62 bytes", aml.buffer(new Uint8Array(62)).subarray(0, 5), "1142040a3e"],
  [
    "a shared level interrupt",
    extendedInterrupt({ gsi: 16, trigger: "level", polarity: "high", sharing: "shared" }),
    "890600090110000000",
  ],
];

test.each(TERMS)("The AML of %s", (_name, bytes, hexadecimal) => {
  expect(bytes.toHex()).toBe(hexadecimal);
});

test("Names and ids that ACPI cannot hold are refused", () => {
  expect(() => aml.namePath("TOOLONG")).toThrow(/not an ACPI name/);
  expect(() => aml.eisaId("pnp1")).toThrow(/not an EISA id/);
});

test("Every table sums to zero and carries the OEM ids", () => {
  const names = ["DSDT", "FADT", "MADT", "XSDT"];
  const sums = names.map((name) => tableBytes(name).reduce((sum, byte) => sum + byte, 0) & 0xff);
  expect(sums).toEqual([0, 0, 0, 0]);
  const ids = names.map((name) => new TextDecoder().decode(tableBytes(name).subarray(10, 24)));
  expect(ids).toEqual(["STRATOVIRTDSDT", "STRATOVIRTFACP", "STRATOVIRTAPIC", "STRATOVIRTXSDT"]);
});

test("The root pointer, where guests scan for it, leads to the listed tables", () => {
  const rsdp = tables.get("ACPI RSDP");
  expect(rsdp?.address).toBe(0xe_0000);
  const bytes = rsdp?.bytes ?? new Uint8Array(0);
  expect(bytes.subarray(0, 20).reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  expect(bytes.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  const view = new DataView(bytes.buffer);
  expect(view.getBigUint64(24, true)).toBe(BigInt(tables.get("ACPI XSDT")?.address ?? 0));
  const listed = new DataView(tableBytes("XSDT").buffer);
  const addresses = ["FADT", "MADT"].map((name) => tables.get(`ACPI ${name}`)?.address);
  expect([36, 44].map((offset) => Number(listed.getBigUint64(offset, true)))).toEqual(
    addresses as number[],
  );
});

// Skipped on hosts without iasl (Debian package acpica-tools).
test.skipIf(!haveIasl)("iasl reads the DSDT and compiles it again to the same namespace", () => {
  const source = sources.get("DSDT") ?? "";
  expect(source).toContain('Name (_HID, EisaId ("PNP0501")');
  expect(source).toContain("Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive");
  expect(source).toContain("Device (C103)");
  expect(source).toContain("Method (TEST, 0, Serialized)");
  expect(source.replaceAll(/\s/g, "")).toContain("Name(\\_S5,Package(0x04)");
  writeFileSync(join(folder, "DSDT.dsl"), source);
  expect(iasl("-oa", "-p", "again", "DSDT.dsl")).toContain("0 Errors, 0 Warnings");
  const again = readFileSync(join(folder, "again.aml"));
  // The compiler writes its own name and version into the header, and a checksum with them.
  expect(again.subarray(36).toHex()).toBe(tableBytes("DSDT").slice(36).toHex());
});

test.skipIf(!haveIasl)("iasl reads the fixed table's flags and registers", () => {
  const source = sources.get("FADT") ?? "";
  expect(source).toMatch(/Hardware Reduced \(V5\) : 1/);
  expect(source).toMatch(/Reset Register Supported \(V2\) : 1/);
  expect(source).toMatch(/Value to cause reset : 0F/);
  expect(source).toMatch(/8042 Present on ports 60\/64 \(V2\) : 1/);
  expect(source).toMatch(/VGA Not Present \(V4\) : 1/);
  expect(source).toMatch(/CMOS RTC Not Present \(V5\) : 0/);
  expect(source.match(/Address : 0{13}CE9/g)).toHaveLength(2);
});

test.skipIf(!haveIasl)("iasl finds every processor in the MADT, the last five as x2APIC", () => {
  const source = sources.get("MADT") ?? "";
  expect(source.match(/\[Processor Local APIC\]/g)).toHaveLength(255);
  expect(source.match(/\[Processor Local x2APIC\]/g)).toHaveLength(5);
  expect(source).toMatch(/I\/O Apic ID : 09/);
});

test("Tables that outgrow their 64 KiB are refused", () => {
  const description = describeMachine();
  const furtherTables = [{ name: "SRAT", bytes: new Uint8Array(60_000) }];
  expect(() => buildAcpi({ ...description, furtherTables })).toThrow(/ACPI tables need \d+ bytes/);
});

test("Classic hardware puts its ports and the SCI into the fixed table", () => {
  const description = describeMachine();
  const fixedHardware = {
    sciInterrupt: 9,
    pm1EventPort: 0x600,
    pm1ControlPort: 0x604,
    timerPort: 0x608,
    facsAddress: 0xd_8000,
  };
  const fadt = { ...description.fadt, fixedHardware };
  const { blobs } = buildAcpi({ ...description, fadt });
  const bytes = blobs.find((blob) => blob.name === "ACPI FADT")?.bytes ?? new Uint8Array(0);
  const view = new DataView(bytes.buffer);
  expect([36, 56, 64, 76].map((offset) => view.getUint32(offset, true))).toEqual([
    0xd_8000, 0x600, 0x604, 0x608,
  ]);
  expect(view.getUint16(46, true)).toBe(9);
  expect((view.getUint32(112, true) >> 20) & 1).toBe(0);
});
