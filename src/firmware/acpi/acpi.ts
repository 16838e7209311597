// The set of ACPI tables of a machine booted without firmware, placed below 1 MiB.

import { UserError } from "../../errors.ts";
import type { MemoryBlob } from "../byte_writer.ts";
import { buildDsdt, type DsdtDescription } from "./dsdt.ts";
import { buildFadt, type FadtDescription } from "./fadt.ts";
import { buildMadt, type MadtDescription } from "./madt.ts";
import { buildRsdp, buildXsdt } from "./table.ts";

/** Where the tables lie; `buildE820` reserves from here to 1 MiB. */
export const ACPI_TABLES_START = 0xd_0000;
/** Guests that ignore the zero page's pointer scan from here on (ACPI 6.5 section 5.2.5.1). */
const RSDP_ADDRESS = 0xe_0000;
const TABLE_ALIGNMENT = 16;

/** What the tables say; the addresses between them are found here. */
export interface AcpiDescription {
  readonly fadt: Omit<FadtDescription, "dsdtAddress">;
  readonly madt: MadtDescription;
  readonly dsdt: DsdtDescription;
  /** Complete further tables, such as MCFG or SRAT, which the XSDT lists after the MADT. */
  readonly furtherTables?: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** The placed tables. */
export interface AcpiTables {
  readonly blobs: readonly MemoryBlob[];
  /** For the zero page or the PVH start info. */
  readonly rsdpAddress: number;
}

/** Builds and places all tables. Errors: they need more than the 64 KiB they have. */
export function buildAcpi(description: AcpiDescription): AcpiTables {
  const blobs: MemoryBlob[] = [];
  let next = ACPI_TABLES_START;
  const place = (name: string, bytes: Uint8Array): number => {
    const address = next;
    blobs.push({ name: `ACPI ${name}`, address, bytes });
    next = Math.ceil((address + bytes.length) / TABLE_ALIGNMENT) * TABLE_ALIGNMENT;
    return address;
  };
  const dsdtAddress = place("DSDT", buildDsdt(description.dsdt));
  const listed = [
    place("FADT", buildFadt({ ...description.fadt, dsdtAddress })),
    place("MADT", buildMadt(description.madt)),
    ...(description.furtherTables ?? []).map((table) => place(table.name, table.bytes)),
  ];
  const xsdtAddress = place("XSDT", buildXsdt(listed));
  if (next > RSDP_ADDRESS) {
    throw new UserError(
      `the ACPI tables need ${next - ACPI_TABLES_START} bytes, more than the ` +
        `${RSDP_ADDRESS - ACPI_TABLES_START} they have below 1 MiB; use fewer vCPUs or devices`,
    );
  }
  blobs.push({ name: "ACPI RSDP", address: RSDP_ADDRESS, bytes: buildRsdp(xsdtAddress) });
  return { blobs, rsdpAddress: RSDP_ADDRESS };
}
