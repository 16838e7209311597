// The Multiple APIC Description Table (ACPI 6.5 section 5.2.12): processors and the I/O APIC.

import { ByteWriter } from "../byte_writer.ts";
import { buildTable } from "./table.ts";

const REVISION = 5;
const LOCAL_APIC_ADDRESS = 0xfee0_0000;
const TYPE = {
  localApic: 0,
  ioApic: 1,
  sourceOverride: 2,
  localApicNmi: 4,
  localX2Apic: 9,
  localX2ApicNmi: 10,
} as const;
/** Ids from here on only fit an x2APIC entry; 255 means every processor in the older one. */
const FIRST_X2APIC_ID = 255;

/** One vCPU, present or to be plugged later. */
export interface MadtProcessor {
  readonly uid: number;
  readonly apicId: number;
  readonly state: "enabled" | "online-capable";
}

/** An ISA interrupt that does not arrive at the GSI of its own number (section 5.2.12.5). */
export interface SourceOverride {
  readonly irq: number;
  readonly gsi: number;
  /** MPS INTI flags: 0 conforms to the bus, 0xD is level and active high. */
  readonly flags: number;
}

/** What the table says. */
export interface MadtDescription {
  readonly processors: readonly MadtProcessor[];
  readonly ioApic: { readonly id: number; readonly address: number; readonly gsiBase: number };
  readonly sourceOverrides?: readonly SourceOverride[];
  /** Whether a pair of 8259 controllers exists too. */
  readonly hasLegacyPic: boolean;
}

/** The whole table; LINT1 of every processor is NMI. */
export function buildMadt(description: MadtDescription): Uint8Array {
  const body = new ByteWriter().u32(LOCAL_APIC_ADDRESS, description.hasLegacyPic ? 1 : 0);
  for (const { apicId, state, uid } of description.processors) {
    const flags = state === "enabled" ? 1 : 2;
    if (isX2Apic({ apicId, state, uid })) {
      body.u8(TYPE.localX2Apic, 16).u16(0).u32(apicId, flags, uid);
    } else {
      body.u8(TYPE.localApic, 8, uid, apicId).u32(flags);
    }
  }
  const { address, gsiBase, id } = description.ioApic;
  body.u8(TYPE.ioApic, 12, id, 0).u32(address, gsiBase);
  for (const { flags, gsi, irq } of description.sourceOverrides ?? []) {
    body.u8(TYPE.sourceOverride, 10, 0, irq).u32(gsi).u16(flags);
  }
  body.u8(TYPE.localApicNmi, 6, 0xff).u16(0).u8(1);
  if (description.processors.some(isX2Apic)) {
    body.u8(TYPE.localX2ApicNmi, 12).u16(0).u32(0xffff_ffff).u8(1, 0, 0, 0);
  }
  return buildTable({ signature: "APIC", revision: REVISION }, body.finish());
}

function isX2Apic(processor: MadtProcessor): boolean {
  return processor.apicId >= FIRST_X2APIC_ID || processor.uid >= FIRST_X2APIC_ID;
}
