// The address map of a machine as lines for a person: QMP's query-mem writes them to the log.

import { Space } from "../core/abi.gen.ts";
import type { Assembly } from "./assemble.ts";

function range(base: number, size: number): string {
  return `0x${base.toString(16)}-0x${(base + size - 1).toString(16)}`;
}

/** One line a range, RAM first, then the windows of devices by address. */
export function describeMemory(map: Pick<Assembly, "ram" | "windows" | "devices">): string[] {
  const names = new Map([...map.devices].map(([name, id]) => [id, name]));
  const windows = [...map.windows].sort((a, b) => a.space - b.space || a.base - b.base);
  return [
    ...map.ram.map(({ address, size }) => `memory ${range(address, size)} RAM`),
    ...windows.map(({ base, size, space, device }) => {
      const kind = space === Space.pio ? "ports" : "memory";
      return `${kind} ${range(base, size)} ${names.get(device) ?? "board"}`;
    }),
  ];
}
