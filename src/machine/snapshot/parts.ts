// The parts of a machine that have a state beside its memory, and their names in a template.

import { StatePart } from "../../core/abi.gen.ts";
import type { Assembly, DeviceDescription } from "../assemble.ts";
import type { SavedDevice } from "./manifest.ts";
import { settingsOf } from "./settings.ts";

export interface StatefulPart {
  /** In a template and in sentences. */
  readonly name: string;
  readonly part: StatePart;
  /** A vCPU's index or a device's id. */
  readonly id: number;
}

export type StatefulMachine = Pick<Assembly, "vcpuCount" | "platform" | "devices" | "descriptions">;

/** In the order in which a restore takes them; a machine without vCPUs has no KVM. */
export function partsOf({ vcpuCount, platform, devices }: StatefulMachine): StatefulPart[] {
  const vcpus = Array.from({ length: vcpuCount }, (_, id) => ({
    name: `vCPU ${id}`,
    part: StatePart.vcpu,
    id,
  }));
  const vm = { name: "interrupt chips and clock", part: StatePart.vm, id: 0 };
  return [
    ...vcpus,
    ...(vcpuCount > 0 ? [vm] : []),
    ...[...platform].map(([name, id]) => ({ name: `board's ${name}`, part: StatePart.device, id })),
    ...[...devices].map(([name, id]) => ({ name: `device ${name}`, part: StatePart.device, id })),
  ];
}

/** What a template tells of the user's devices. */
export function devicesOf({ descriptions }: StatefulMachine): SavedDevice[] {
  return descriptions.map(({ config, device, slot }: DeviceDescription) => ({
    id: config.id,
    driver: config.driver,
    address: slot.address,
    irq: slot.irq,
    settings: settingsOf(device),
  }));
}
