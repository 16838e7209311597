// The frame of every ACPI table: header and checksum, and the two that point to the others.

import { ByteWriter, checksumOf, concatBytes } from "../byte_writer.ts";

const OEM_ID = "STRATO";
const OEM_REVISION = 1;
const CREATOR_ID = "STRA";
const CREATOR_REVISION = 1;
const HEADER_SIZE = 36;
const CHECKSUM_OFFSET = 9;

/** What the header of a table says about it. */
export interface TableIdentity {
  /** Four characters, such as "APIC". */
  readonly signature: string;
  readonly revision: number;
}

/** A generic address in I/O or memory space (ACPI 6.5 section 5.2.3.2). */
export interface RegisterAddress {
  readonly space: "memory" | "io";
  readonly address: number;
  /** Width in bits: 8, 16, 32 or 64. */
  readonly width: number;
}

/** Header and body with a correct length and checksum (ACPI 6.5 section 5.2.6). */
export function buildTable(identity: TableIdentity, body: Uint8Array): Uint8Array {
  const header = new ByteWriter()
    .text(identity.signature, 4)
    .u32(HEADER_SIZE + body.length)
    .u8(identity.revision, 0)
    .text(OEM_ID, 6)
    .text(`VIRT${identity.signature}`, 8)
    .u32(OEM_REVISION)
    .text(CREATOR_ID, 4)
    .u32(CREATOR_REVISION)
    .finish();
  const table = concatBytes([header, body]);
  table[CHECKSUM_OFFSET] = checksumOf(table);
  return table;
}

/** A Generic Address Structure; undefined is the all-zero "not there". */
export function genericAddress(register: RegisterAddress | undefined): Uint8Array {
  if (register === undefined) return new Uint8Array(12);
  const accessSize = Math.log2(register.width / 8) + 1;
  return new ByteWriter()
    .u8(register.space === "io" ? 1 : 0, register.width, 0, accessSize)
    .u64(register.address)
    .finish();
}

/** The table of tables (ACPI 6.5 section 5.2.8). */
export function buildXsdt(tableAddresses: readonly number[]): Uint8Array {
  const body = new ByteWriter().u64(...tableAddresses).finish();
  return buildTable({ signature: "XSDT", revision: 1 }, body);
}

/** The root pointer, revision 2, without an RSDT (ACPI 6.5 section 5.2.5.3). */
export function buildRsdp(xsdtAddress: number): Uint8Array {
  const firstVersionSize = 20;
  const bytes = new ByteWriter()
    .text("RSD PTR ")
    .u8(0)
    .text(OEM_ID, 6)
    .u8(2)
    .u32(0, 36)
    .u64(xsdtAddress)
    .u8(0)
    .zeros(3)
    .finish();
  bytes[8] = checksumOf(bytes.subarray(0, firstVersionSize));
  bytes[32] = checksumOf(bytes);
  return bytes;
}
