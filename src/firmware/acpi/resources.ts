// Resource descriptors for `_CRS` (ACPI 6.5 section 6.4).

import { ByteWriter, concatBytes } from "../byte_writer.ts";
import { type Aml, buffer } from "./aml.ts";

/** `ResourceTemplate () { … }`: the descriptors and the end tag, in a buffer. */
export function resourceTemplate(descriptors: readonly Uint8Array[]): Aml {
  const endTagWithoutChecksum = Uint8Array.of(0x79, 0);
  return buffer(concatBytes([...descriptors, endTagWithoutChecksum]));
}

/** `Memory32Fixed (ReadWrite, address, size)` (section 6.4.3.4) */
export function memory32Fixed(address: number, size: number): Uint8Array {
  const writable = 1;
  return new ByteWriter().u8(0x86).u16(9).u8(writable).u32(address, size).finish();
}

/** A run of I/O ports. */
export interface PortRange {
  readonly port: number;
  readonly count: number;
}

/** `IO (Decode16, port, port, 1, count)` (section 6.4.2.5) */
export function ioPorts(range: PortRange): Uint8Array {
  const decode16 = 1;
  return new ByteWriter()
    .u8(0x47, decode16)
    .u16(range.port, range.port)
    .u8(1, range.count)
    .finish();
}

/** `IRQNoFlags () { irq }`: an ISA interrupt, edge, active high, exclusive (section 6.4.2.1) */
export function isaInterrupt(irq: number): Uint8Array {
  return new ByteWriter()
    .u8(0x22)
    .u16(1 << irq)
    .finish();
}

/** How an interrupt line signals. */
export interface InterruptOptions {
  readonly gsi: number;
  readonly trigger: "edge" | "level";
  readonly polarity: "high" | "low";
  readonly sharing: "exclusive" | "shared";
}

/** `Interrupt (ResourceConsumer, …) { gsi }` (section 6.4.3.6) */
export function extendedInterrupt(options: InterruptOptions): Uint8Array {
  const consumer = 1;
  const flags =
    consumer |
    (options.trigger === "edge" ? 2 : 0) |
    (options.polarity === "low" ? 4 : 0) |
    (options.sharing === "shared" ? 8 : 0);
  return new ByteWriter().u8(0x89).u16(6).u8(flags, 1).u32(options.gsi).finish();
}
