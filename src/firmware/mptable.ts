// The MultiProcessor table (Intel MP specification 1.4): processors, one I/O APIC and the ISA
// interrupts, for a guest that finds no ACPI tables.

import { UserError } from "../errors.ts";
import { ByteWriter, checksumOf, type MemoryBlob } from "./byte_writer.ts";
import { LOW_MEMORY_END } from "./e820.ts";

/** Guests look for the floating pointer in the last KiB below 640 KiB (MP 1.4 section 4). */
const FLOATING_POINTER_ADDRESS = 0x9_fc00;
const FLOATING_POINTER_SIZE = 16;
const HEADER_SIZE = 44;
const ISA_IRQ_COUNT = 16;
/** Physical APIC ids have 8 bits, and 255 means every processor. */
const APIC_ID_MAX = 254;
const ALL_PROCESSORS = 0xff;
const LOCAL_APIC_ADDRESS = 0xfee0_0000;
const IO_APIC_ADDRESS = 0xfec0_0000;

const ENTRY = { processor: 0, bus: 1, ioApic: 2, ioInterrupt: 3, localInterrupt: 4 } as const;
const INTERRUPT = { vectored: 0, nmi: 1, externalPic: 3 } as const;

/** The processors to list. */
export interface MpTableDescription {
  /** Local APIC ids in vCPU order; the first is the bootstrap processor. */
  readonly apicIds: readonly number[];
  /** EAX of CPUID leaf 1. */
  readonly cpuSignature?: number;
  /** EDX of CPUID leaf 1. */
  readonly cpuFeatures?: number;
}

/** The table's bytes and where low RAM has to end because of them. */
export interface MpTable {
  readonly blobs: readonly MemoryBlob[];
  /** Start of the reserved area under 640 KiB; `buildE820` wants it. */
  readonly ebdaStart: number;
  readonly ioApicId: number;
}

/**
 * Builds pointer and table. Up to 40 processors fit behind the pointer in its KiB; for more, the
 * table lies right below it and the reserved area starts lower.
 * Errors: an APIC id above 254, which the format cannot say.
 */
export function buildMpTable(description: MpTableDescription): MpTable {
  const tooLarge = description.apicIds.find((id) => id > APIC_ID_MAX);
  if (tooLarge !== undefined) {
    throw new UserError(
      `APIC id ${tooLarge} does not fit an MP table, whose ids end at ${APIC_ID_MAX}; ` +
        "use fewer vCPUs",
    );
  }
  const ioApicId = chooseIoApicId(description.apicIds);
  const table = tableBytes(description, ioApicId);
  const behindPointer = FLOATING_POINTER_ADDRESS + FLOATING_POINTER_SIZE;
  const fits = behindPointer + table.length <= LOW_MEMORY_END;
  const below = Math.floor((FLOATING_POINTER_ADDRESS - table.length) / 1024) * 1024;
  const tableAddress = fits ? behindPointer : below;
  return {
    blobs: [
      {
        name: "MP floating pointer",
        address: FLOATING_POINTER_ADDRESS,
        bytes: floatingPointer(tableAddress),
      },
      { name: "MP table", address: tableAddress, bytes: table },
    ],
    ebdaStart: fits ? FLOATING_POINTER_ADDRESS : tableAddress,
    ioApicId,
  };
}

/** N + 1, or the lowest id that no processor has if that one is taken or too large. */
function chooseIoApicId(apicIds: readonly number[]): number {
  const preferred = apicIds.length + 1;
  if (preferred <= APIC_ID_MAX && !apicIds.includes(preferred)) return preferred;
  for (let id = 0; id <= APIC_ID_MAX; id += 1) if (!apicIds.includes(id)) return id;
  // Processors hold all 255 ids: I/O APIC ids are a space of their own on every xAPIC system.
  return 0;
}

function floatingPointer(tableAddress: number): Uint8Array {
  const bytes = new ByteWriter()
    .text("_MP_")
    .u32(tableAddress)
    .u8(FLOATING_POINTER_SIZE / 16, 4, 0)
    .zeros(5)
    .finish();
  bytes[10] = checksumOf(bytes);
  return bytes;
}

function tableBytes(description: MpTableDescription, ioApicId: number): Uint8Array {
  const entries = new ByteWriter();
  for (const [index, apicId] of description.apicIds.entries()) {
    const enabled = 1;
    const bootstrap = index === 0 ? 2 : 0;
    entries.u8(ENTRY.processor, apicId, 0x14, enabled | bootstrap);
    // Family 6 with an on-chip APIC and an FPU unless the caller knows better.
    entries.u32(description.cpuSignature ?? 0x600, description.cpuFeatures ?? 0x201).zeros(8);
  }
  entries.u8(ENTRY.bus, 0).text("ISA", 6);
  entries.u8(ENTRY.ioApic, ioApicId, 0x11, 1).u32(IO_APIC_ADDRESS);
  for (let irq = 0; irq < ISA_IRQ_COUNT; irq += 1) {
    entries.u8(ENTRY.ioInterrupt, INTERRUPT.vectored).u16(0).u8(0, irq, ioApicId, irq);
  }
  const bootstrapId = description.apicIds[0] ?? 0;
  entries.u8(ENTRY.localInterrupt, INTERRUPT.externalPic).u16(0).u8(0, 0, bootstrapId, 0);
  entries.u8(ENTRY.localInterrupt, INTERRUPT.nmi).u16(0).u8(0, 0, ALL_PROCESSORS, 1);
  const entryCount = description.apicIds.length + 1 + 1 + ISA_IRQ_COUNT + 2;
  const bytes = new ByteWriter()
    .text("PCMP")
    .u16(HEADER_SIZE + entries.size)
    .u8(4, 0)
    .text("STRATO", 8)
    .text("STRATOVIRT", 12)
    .u32(0)
    .u16(0, entryCount)
    .u32(LOCAL_APIC_ADDRESS)
    .u32(0)
    .bytes(entries.finish())
    .finish();
  bytes[7] = checksumOf(bytes);
  return bytes;
}
