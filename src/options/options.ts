// Every option of the main binary, in the order of the help text.

import { backendOptions } from "./declarations/backends.ts";
import { bootOptions } from "./declarations/boot.ts";
import { deviceOptions } from "./declarations/devices.ts";
import { machineOptions } from "./declarations/machine.ts";
import { objectOptions } from "./declarations/objects.ts";
import { libvirtOptions, processOptions } from "./declarations/process.ts";
import type { OptionSchema } from "./schema.ts";

export const allOptions: readonly OptionSchema[] = [
  ...machineOptions,
  ...bootOptions,
  ...deviceOptions,
  ...backendOptions,
  ...objectOptions,
  ...processOptions,
  ...libvirtOptions,
];

const byName = new Map<string, OptionSchema>(
  allOptions.flatMap((option) =>
    [option.name, ...(option.aliases ?? [])].map((name) => [name, option] as const),
  ),
);

/** An option by its name or alias without the dash. */
export function findOption(name: string): OptionSchema | undefined {
  return byName.get(name);
}

/** Names and aliases that a person may have meant; libvirt's no-ops are not offered. */
export function optionNames(): string[] {
  return [...byName].filter(([, option]) => option.shape !== "ignored").map(([name]) => name);
}
