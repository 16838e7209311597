// Reads what the doctor wants to know of this host. Nothing is changed; a machine without memory
// and processors is made and destroyed to see whether KVM works.

import { closeSync, openSync, readFileSync } from "node:fs";
import { Core } from "../core/core.ts";
import { messageOf } from "../errors.ts";
import type { Access, HostFacts } from "./doctor.ts";

// capabilities(7): the bit of CAP_NET_ADMIN.
const netAdminBit = 12n;

/** A file's text; "" where it does not exist, as in a jail without /proc. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function accessOf(path: string): Access {
  try {
    closeSync(openSync(path, "r+"));
    return "ok";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : messageOf(error);
  }
}

function tryMachine(): HostFacts["kvmMachine"] {
  let fd: number;
  try {
    fd = openSync("/dev/kvm", "r+");
  } catch {
    return undefined;
  }
  try {
    const core = Core.create(fd);
    const { vcpuCountMax } = core.capabilities();
    core.destroy();
    return { vcpuCountMax };
  } catch (error) {
    return { failure: messageOf(error) };
  } finally {
    closeSync(fd);
  }
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

function limitIn(limits: string, name: string): number {
  const soft = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(limits)?.[1] ?? "0";
  return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
}

function mountsOf(type: string): string[] {
  return textOf("/proc/self/mounts")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , kind]) => kind === type)
    .flatMap(([, place]) => place ?? []);
}

export function readHostFacts(): HostFacts {
  const memory = textOf("/proc/meminfo");
  const limits = textOf("/proc/self/limits");
  const flags = /^flags\s*:(.*)$/m.exec(textOf("/proc/cpuinfo"))?.[1] ?? "";
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(textOf("/proc/self/status"))?.[1] ?? "0";
  return {
    cpuFlags: new Set(flags.trim().split(" ")),
    kvm: accessOf("/dev/kvm"),
    kvmMachine: tryMachine(),
    hugePages: {
      total: numberIn(memory, /^HugePages_Total:\s*(\d+)/m),
      free: numberIn(memory, /^HugePages_Free:\s*(\d+)/m),
      sizeKiB: numberIn(memory, /^Hugepagesize:\s*(\d+)/m),
    },
    hugetlbfs: mountsOf("hugetlbfs"),
    vhostNet: accessOf("/dev/vhost-net"),
    vhostVsock: accessOf("/dev/vhost-vsock"),
    tun: accessOf("/dev/net/tun"),
    canAdministerNetwork: ((BigInt(`0x${effective}`) >> netAdminBit) & 1n) === 1n,
    openFilesMax: limitIn(limits, "Max open files"),
    lockedBytesMax: limitIn(limits, "Max locked memory"),
    memoryAvailableKiB: numberIn(memory, /^MemAvailable:\s*(\d+)/m),
  };
}
