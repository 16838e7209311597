// Puts kernel, initrd and firmware tables into guest memory and says how the first vCPU starts.

import { openBootFile } from "../backends/file.ts";
import { addVirtioMmioDevices } from "../boot/command_line.ts";
import { planLinuxBoot } from "../boot/linux_x86.ts";
import type { BootPlan, Segment } from "../boot/plan.ts";
import { apicIds, type Core, type EntryRegisters, type Topology } from "../core/core.ts";
import { UserError } from "../errors.ts";
import { ACPI_TABLES_START, buildAcpi } from "../firmware/acpi/acpi.ts";
import type { MemoryBlob } from "../firmware/byte_writer.ts";
import { buildE820 } from "../firmware/e820.ts";
import { buildMpTable } from "../firmware/mptable.ts";
import { resetVector } from "../firmware/reset_vector.ts";
import type { Config } from "../options/config.ts";
import * as microvm from "./boards/microvm.ts";
import { Resources } from "./resources.ts";
import type { Slot } from "./slot_plan.ts";

export interface BootInput {
  readonly config: Config;
  readonly topology: Topology;
  readonly slots: readonly Slot[];
}

/** Loads everything; returns the registers of the bootstrap processor. */
export function loadKernel(core: Core, input: BootInput): EntryRegisters {
  const { kernelPath, initrdPath } = input.config.boot;
  if (kernelPath === undefined) {
    throw new UserError("A microvm needs a kernel: add -kernel FILE.");
  }
  const files = new Resources();
  try {
    const kernel = files.add(openBootFile(kernelPath, { what: "The kernel", option: "-kernel" }));
    const initrd =
      initrdPath === undefined
        ? undefined
        : files.add(openBootFile(initrdPath, { what: "The initrd", option: "-initrd" }));
    const plan = planBoot(input, initrd === undefined ? { kernel } : { kernel, initrd });
    const descriptors = { kernel: kernel.fd, initrd: initrd?.fd ?? -1 };
    carryOut(core, plan, descriptors);
    return entryRegisters(plan);
  } finally {
    files.close();
  }
}

type BootFiles = Pick<Parameters<typeof planLinuxBoot>[0], "kernel" | "initrd">;

function planBoot(input: BootInput, files: BootFiles): BootPlan {
  const { config, slots } = input;
  const processors = apicIds(input.topology, config.cpu.count);
  const mp = buildMpTable({ apicIds: processors });
  const acpi = config.machine.acpi
    ? acpiTables(processors, mp.ioApicId, slots)
    : { blobs: [], rsdpAddress: undefined };
  const memory = microvm.memoryLayout(config.memory.sizeBytes);
  return planLinuxBoot({
    ...files,
    commandLine: addVirtioMmioDevices(config.boot.commandLine, slots),
    memory,
    e820: buildE820({ memory, ebdaStart: mp.ebdaStart, firmwareStart: ACPI_TABLES_START }),
    firmware: [...mp.blobs, ...acpi.blobs, resetVector()],
    ...(acpi.rsdpAddress === undefined ? {} : { rsdpAddress: acpi.rsdpAddress }),
  });
}

function acpiTables(
  processors: readonly number[],
  ioApicId: number,
  slots: readonly Slot[],
): { readonly blobs: readonly MemoryBlob[]; readonly rsdpAddress: number | undefined } {
  const sleep = { space: "io", address: microvm.SLEEP_CONTROL_PORT, width: 8 } as const;
  return buildAcpi({
    fadt: {
      resetRegister: { space: "io", address: microvm.RESET_CONTROL_PORT, width: 8 },
      resetValue: microvm.RESET_VALUE,
      sleepControl: sleep,
      sleepStatus: sleep,
      // The controller is there for its reset line alone: drivers need not look for a keyboard.
      hasKeyboardController: false,
      hasRtc: true,
    },
    madt: {
      processors: processors.map((apicId, uid) => ({ uid, apicId, state: "enabled" as const })),
      ioApic: { id: ioApicId, address: microvm.IO_APIC_ADDRESS, gsiBase: 0 },
      hasLegacyPic: true,
    },
    dsdt: {
      processorUids: processors.map((_, uid) => uid),
      serialPorts: [microvm.SERIAL],
      rtc: microvm.RTC,
      virtioMmioDevices: slots,
    },
  });
}

function carryOut(
  core: Core,
  plan: BootPlan,
  descriptors: { readonly kernel: number; readonly initrd: number },
): void {
  for (const blob of plan.blobs) core.writeMemory(blob.address, blob.bytes);
  for (const load of plan.fileLoads) {
    core.loadMemory({
      guestAddress: load.address,
      fd: descriptors[load.source],
      offset: load.fileOffset,
      size: load.size,
    });
  }
}

function entryRegisters(plan: BootPlan): EntryRegisters {
  const { entry } = plan;
  return {
    ...entry,
    code: segmentValue(entry.code),
    data: segmentValue(entry.data),
    task: segmentValue(entry.task),
  };
}

function segmentValue(segment: Segment): EntryRegisters["code"] {
  return { ...segment };
}
