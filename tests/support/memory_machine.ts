// A machine without processors made from memory options, and its mappings as the kernel shows them.

import "./core_library.ts";
import { readFileSync } from "node:fs";
import { type Assembly, assemble } from "../../src/machine/assemble.ts";
import { parseCommandLine } from "../../src/options/command_line.ts";

/** One entry of /proc/self/smaps. */
export interface Mapping {
  readonly address: number;
  readonly size: number;
  readonly isShared: boolean;
  /** "" for anonymous memory. */
  readonly path: string;
  readonly residentBytes: number;
  readonly flags: readonly string[];
  /** Of /proc/self/numa_maps: "default", "bind:0". */
  readonly policy: string;
}

export class MemoryMachine implements Disposable {
  readonly #assembly: Assembly;

  /** `line` is a part of a command line, and `keys` are more keys of -machine. */
  constructor(line: string, keys = "acpi=on") {
    const argv = ["-machine", `microvm,accel=test,${keys}`, ...line.split(" ")];
    const result = parseCommandLine(argv, "0.1.0");
    if (result.kind === "print") throw new Error("the command line only prints");
    this.#assembly = assemble(result.config);
  }

  read(address: number, length: number): Buffer {
    return Buffer.from(this.#assembly.core.readMemory(address, length));
  }

  write(address: number, bytes: Uint8Array): void {
    this.#assembly.core.writeMemory(address, bytes);
  }

  /** The only mapping of this process that fits. */
  mapping(fits: (mapping: Mapping) => boolean): Mapping {
    const found = mappings().filter(fits);
    const [only] = found;
    if (only === undefined || found.length > 1) throw new Error(`${found.length} mappings fit`);
    return only;
  }

  [Symbol.dispose](): void {
    this.#assembly.resources.close();
  }
}

function mappings(): Mapping[] {
  const policies = new Map(
    readFileSync("/proc/self/numa_maps", "utf8")
      .split("\n")
      .map((line) => line.split(" ", 2) as [string, string]),
  );
  const text = readFileSync("/proc/self/smaps", "utf8");
  return text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).map((entry) => {
    const [head = "", ...rest] = entry.split("\n");
    const [range = "", access = "", , , , ...path] = head.split(/ +/);
    const [start = "", end = ""] = range.split("-");
    const field = (name: string) => rest.find((line) => line.startsWith(`${name}:`)) ?? "";
    const address = Number.parseInt(start, 16);
    return {
      address,
      size: Number.parseInt(end, 16) - address,
      isShared: access.endsWith("s"),
      path: path.join(" "),
      residentBytes: Number(/\d+/.exec(field("Rss"))?.[0] ?? 0) * 1024,
      flags: field("VmFlags").split(" "),
      policy: policies.get(start) ?? "",
    };
  });
}
