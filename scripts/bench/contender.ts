// The programs that are compared: this one, Debian's QEMU, and any other given on the command line.

import { join } from "node:path";
import { checkout } from "../lib/paths.ts";
import type { Payload } from "./payload.ts";

export interface Contender {
  readonly name: string;
  /** The words that run a payload. */
  command(payload: Payload): [string, ...string[]];
}

export const memoryMib = 128;

export const stratovirt: Contender = {
  name: "stratovirt",
  command: ({ flat }) => [
    join(checkout, "dist/stratovirt"),
    ...["-machine", "microvm", "-m", `${memoryMib}M`, "-kernel", flat],
  ],
};

/** A microvm as a user starts it, without the chips that the payload does not need. */
export const qemu = microvm("qemu", ["-nographic"]);

/** The same with everything left out that can be. */
export const leanQemu = microvm("lean qemu", [
  ...["-nodefaults", "-no-user-config", "-display", "none"],
]);

function microvm(name: string, more: readonly string[]): Contender {
  return {
    name,
    command: ({ elf }) => [
      ...(["qemu-system-x86_64", "-M", "microvm,pit=off,pic=off,rtc=off"] as const),
      ...["-cpu", "host,arch-capabilities=off", "-accel", "kvm", "-m", `${memoryMib}M`],
      ...["-no-reboot", "-kernel", elf, ...more],
    ],
  };
}

/**
 * Another program: a path with its arguments, in which {flat} and {elf} become the payload's
 * files.
 */
export function peer(line: string): Contender {
  const [program = "", ...words] = line.trim().split(/\s+/);
  return {
    name: program.split("/").at(-1) ?? program,
    command: ({ flat, elf }) => [
      program,
      ...words.map((word) => word.replaceAll("{flat}", flat).replaceAll("{elf}", elf)),
    ],
  };
}
