// stratovirt doctor: what the facts of a host mean for a machine, and what to do about each.

/** What a path allows: it opens for reading and writing, or why it does not (an errno's name). */
export type Access = "ok" | string;

export interface HostFacts {
  /** Flags of the first processor (/proc/cpuinfo). */
  readonly cpuFlags: ReadonlySet<string>;
  readonly kvm: Access;
  /** Most vCPUs of a machine; undefined when KVM made none, or an error's sentence. */
  readonly kvmMachine: { readonly vcpuCountMax: number } | { readonly failure: string } | undefined;
  readonly hugePages: { readonly total: number; readonly free: number; readonly sizeKiB: number };
  readonly hugetlbfs: readonly string[];
  readonly vhostNet: Access;
  readonly vhostVsock: Access;
  readonly tun: Access;
  readonly canAdministerNetwork: boolean;
  /** Soft limits; Infinity for none. */
  readonly openFilesMax: number;
  readonly lockedBytesMax: number;
  readonly memoryAvailableKiB: number;
}

export interface Finding {
  readonly subject: string;
  /** "bad": no machine starts. "lack": something that some machines want is missing. */
  readonly state: "good" | "lack" | "bad";
  readonly text: string;
  readonly remedy?: string;
}

const openFilesWanted = 1024;
const memoryWantedKiB = 256 * 1024;

/** What stands behind /dev/kvm, told by the processor's flags. */
export function kvmKind(flags: ReadonlySet<string>): string {
  const extension = flags.has("vmx") ? "VT-x" : flags.has("svm") ? "AMD-V" : undefined;
  if (extension === undefined) return "without virtualisation extensions (in software)";
  return flags.has("hypervisor") ? `nested in another machine, on ${extension}` : `on ${extension}`;
}

function openRemedy(path: string, module: string, access: Access): string {
  switch (access) {
    case "ENOENT":
      return `load the module: modprobe ${module}; in a container, pass ${path} in`;
    case "EACCES":
    case "EPERM":
      return `give your user the rights: add it to the group of ${path}`;
    default:
      return `see why ${path} fails with ${access}`;
  }
}

function examineKvm(facts: HostFacts): Finding {
  const subject = "kvm";
  if (facts.kvm !== "ok") {
    const isX86 = facts.cpuFlags.has("vmx") || facts.cpuFlags.has("svm");
    const remedy = isX86
      ? openRemedy("/dev/kvm", "kvm_intel or kvm_amd", facts.kvm)
      : "switch virtualisation on in the firmware, or nested virtualisation in the host above";
    const text = `/dev/kvm cannot be opened (${facts.kvm})`;
    return { subject, state: "bad", text, remedy };
  }
  const kind = kvmKind(facts.cpuFlags);
  const machine = facts.kvmMachine;
  if (machine === undefined || "failure" in machine) {
    const why = machine === undefined ? "it was not tried" : machine.failure;
    const remedy = "another hypervisor may hold the processor: stop it, or see dmesg";
    return { subject, state: "bad", text: `/dev/kvm opens, but makes no machine: ${why}`, remedy };
  }
  const text = `KVM ${kind}, up to ${machine.vcpuCountMax} processors a machine`;
  if (!kind.includes("software")) return { subject, state: "good", text };
  const remedy = "expect small payloads only: a Linux guest may not boot here";
  return { subject, state: "lack", text, remedy };
}

function examineDevice(
  subject: string,
  device: { readonly path: string; readonly module: string; readonly use: string },
  access: Access,
): Finding {
  const { path, module, use } = device;
  if (access === "ok") return { subject, state: "good", text: `${path} is usable` };
  const text = `${path} cannot be opened (${access}); ${use} needs it`;
  return { subject, state: "lack", text, remedy: openRemedy(path, module, access) };
}

function examineHugePages({ hugePages, hugetlbfs }: HostFacts): Finding {
  const subject = "huge pages";
  const { total, free, sizeKiB } = hugePages;
  const size = `${sizeKiB / 1024} MiB`;
  if (total === 0) {
    const remedy = `reserve some for -mem-path: sysctl vm.nr_hugepages=N (of ${size} each)`;
    return { subject, state: "lack", text: "none are reserved", remedy };
  }
  const text = `${free} of ${total} of ${size} are free`;
  if (hugetlbfs.length > 0) {
    return { subject, state: "good", text: `${text}, at ${hugetlbfs.join(", ")}` };
  }
  const remedy = "mount them: mount -t hugetlbfs none /dev/hugepages";
  return { subject, state: "lack", text: `${text}, but not mounted`, remedy };
}

function examineTap({ tun, canAdministerNetwork }: HostFacts): Finding {
  const tap = { path: "/dev/net/tun", module: "tun", use: "a tap network" };
  const found = examineDevice("tap", tap, tun);
  if (found.state !== "good" || canAdministerNetwork) return found;
  return {
    subject: "tap",
    state: "lack",
    text: "/dev/net/tun is usable, but without CAP_NET_ADMIN only for taps that are yours",
    remedy: "make one as root: ip tuntap add tap0 mode tap user $USER",
  };
}

function examineFiles({ openFilesMax }: HostFacts): Finding {
  const subject = "open files";
  const text = `at most ${openFilesMax} a process`;
  if (openFilesMax >= openFilesWanted) return { subject, state: "good", text };
  return { subject, state: "lack", text, remedy: `raise it: ulimit -n ${openFilesWanted}` };
}

function examineLocked({ lockedBytesMax }: HostFacts): Finding {
  const subject = "locked memory";
  if (lockedBytesMax === Number.POSITIVE_INFINITY) {
    return { subject, state: "good", text: "unlimited" };
  }
  const text = `at most ${Math.floor(lockedBytesMax / 1024)} KiB; VFIO locks all guest memory`;
  return { subject, state: "lack", text, remedy: "for VFIO: ulimit -l unlimited" };
}

function examineMemory({ memoryAvailableKiB }: HostFacts): Finding {
  const subject = "memory";
  const text = `${Math.floor(memoryAvailableKiB / 1024)} MiB are available`;
  if (memoryAvailableKiB >= memoryWantedKiB) return { subject, state: "good", text };
  return { subject, state: "lack", text, remedy: "free some, or give guests less: -m 128M" };
}

/** One finding a subject, the most needed first. */
export function examine(facts: HostFacts): Finding[] {
  const net = { path: "/dev/vhost-net", module: "vhost_net", use: "vhost=on" };
  const vsock = { path: "/dev/vhost-vsock", module: "vhost_vsock", use: "vhost-vsock" };
  return [
    examineKvm(facts),
    examineMemory(facts),
    examineHugePages(facts),
    examineDevice("vhost-net", net, facts.vhostNet),
    examineDevice("vhost-vsock", vsock, facts.vhostVsock),
    examineTap(facts),
    examineFiles(facts),
    examineLocked(facts),
  ];
}

/** Lines for a person: the state, the subject, what was found, what to do. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings
    .map(({ subject, state, text, remedy }) => {
      const line = `${state.padEnd(5)} ${subject}: ${text}`;
      return remedy === undefined ? line : `${line}\n      -> ${remedy}`;
    })
    .join("\n");
}
