// The Differentiated System Description Table: the devices a guest cannot find by itself.

import { concatBytes } from "../byte_writer.ts";
import type { Aml } from "./aml.ts";
import { device, eisaId, integer, name, packageOf, scope, text } from "./aml.ts";
import {
  extendedInterrupt,
  ioPorts,
  isaInterrupt,
  memory32Fixed,
  type PortRange,
  resourceTemplate,
} from "./resources.ts";
import { buildTable } from "./table.ts";

/** A device with I/O ports and at most one ISA interrupt. */
export interface LegacyDevice extends PortRange {
  readonly irq?: number;
}

/** One virtio-mmio slot with a device in it. */
export interface VirtioMmioDevice {
  readonly address: number;
  readonly size: number;
  /** GSI, edge-triggered. */
  readonly irq: number;
}

/** What the namespace holds. */
export interface DsdtDescription {
  readonly processorUids: readonly number[];
  readonly serialPorts: readonly LegacyDevice[];
  readonly rtc?: LegacyDevice;
  readonly virtioMmioDevices: readonly VirtioMmioDevice[];
  /** Further terms for `\_SB`, such as a board's PCI root bridge. */
  readonly systemBusTerms?: readonly Aml[];
}

/** The whole table; revision 2 makes its integers 64 bits wide. */
export function buildDsdt(description: DsdtDescription): Uint8Array {
  const devices = [
    ...description.processorUids.map(processor),
    ...description.serialPorts.map(serialPort),
    ...(description.rtc === undefined ? [] : [realTimeClock(description.rtc)]),
    ...description.virtioMmioDevices.map(virtioMmio),
    ...(description.systemBusTerms ?? []),
  ];
  const softOff = packageOf([integer(5), integer(0), integer(0), integer(0)]);
  const body = concatBytes([scope("\\_SB", devices), name("\\_S5", softOff)]);
  return buildTable({ signature: "DSDT", revision: 2 }, body);
}

function processor(uid: number): Aml {
  return device(`C${hex(uid, 3)}`, [name("_HID", text("ACPI0007")), name("_UID", integer(uid))]);
}

function serialPort(port: LegacyDevice, index: number): Aml {
  return device(`COM${index + 1}`, [
    name("_HID", eisaId("PNP0501")),
    name("_UID", integer(index + 1)),
    name("_CRS", legacyResources(port)),
  ]);
}

function legacyResources(legacy: LegacyDevice): Aml {
  const interrupts = legacy.irq === undefined ? [] : [isaInterrupt(legacy.irq)];
  return resourceTemplate([ioPorts(legacy), ...interrupts]);
}

function realTimeClock(rtc: LegacyDevice): Aml {
  return device("RTC", [name("_HID", eisaId("PNP0B00")), name("_CRS", legacyResources(rtc))]);
}

function virtioMmio(slot: VirtioMmioDevice, index: number): Aml {
  const interrupt = extendedInterrupt({
    gsi: slot.irq,
    trigger: "edge",
    polarity: "high",
    sharing: "exclusive",
  });
  return device(`V${hex(index, 3)}`, [
    name("_HID", text("LNRO0005")),
    name("_UID", integer(index)),
    name("_CRS", resourceTemplate([memory32Fixed(slot.address, slot.size), interrupt])),
  ]);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
