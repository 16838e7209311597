// The capabilities that a jailed program may keep, by name (capabilities(7)).

import { UserError } from "../errors.ts";
import { didYouMean } from "../options/suggest.ts";

/** In the order of linux/capability.h: the index is the number. */
const capabilityNames: readonly string[] = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
].map((name) => `CAP_${name}`);

/** With one of these a program may leave the jail or change the host. */
const dangerous: ReadonlySet<string> = new Set([
  "CAP_BPF",
  "CAP_DAC_READ_SEARCH",
  "CAP_MAC_ADMIN",
  "CAP_MAC_OVERRIDE",
  "CAP_MKNOD",
  "CAP_PERFMON",
  "CAP_SETFCAP",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_CHROOT",
  "CAP_SYS_MODULE",
  "CAP_SYS_PTRACE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_TIME",
]);

/** Canonical names from words in any case, separated by commas, with or without `CAP_`. */
export function parseCapabilities(words: readonly string[]): string[] {
  const found = new Set<string>();
  for (const written of words.flatMap((word) => word.split(",")).filter((word) => word !== "")) {
    const upper = written.toUpperCase();
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!capabilityNames.includes(name)) {
      const list = "See capabilities(7) for the list.";
      throw new UserError(
        `Unknown capability '${written}' of -capability.${didYouMean(name, capabilityNames, list)}`,
      );
    }
    found.add(name);
  }
  return [...found];
}

/** The set as bits, one for each number; below 2^41. */
export function capabilityBits(names: readonly string[]): number {
  return names.reduce((bits, name) => bits + 2 ** capabilityNames.indexOf(name), 0);
}

/** One sentence for each capability that weakens the jail. */
export function capabilityWarnings(names: readonly string[]): string[] {
  return names
    .filter((name) => dangerous.has(name))
    .map((name) => `${name} lets the program act outside its jail; keep it only if it must be.`);
}
