// What the doctor makes of a host: a table of hosts, each with one thing amiss.

import { expect, test } from "bun:test";
import type { HostFacts } from "../../src/tools/doctor.ts";
import { describeFindings, examine, kvmKind } from "../../src/tools/doctor.ts";
import { readHostFacts } from "../../src/tools/host_facts.ts";

const healthy: HostFacts = {
  cpuFlags: new Set(["vmx"]),
  kvm: "ok",
  kvmMachine: { vcpuCountMax: 255 },
  hugePages: { total: 8, free: 8, sizeKiB: 2048 },
  hugetlbfs: ["/dev/hugepages"],
  vhostNet: "ok",
  vhostVsock: "ok",
  tun: "ok",
  canAdministerNetwork: true,
  openFilesMax: 4096,
  lockedBytesMax: Number.POSITIVE_INFINITY,
  memoryAvailableKiB: 2 ** 20,
};

test("a healthy host is good in everything", () => {
  const findings = examine(healthy);
  expect(findings.map(({ state }) => state)).toEqual(findings.map(() => "good"));
  expect(findings.map(({ subject }) => subject)).toEqual([
    "kvm",
    "memory",
    "huge pages",
    "vhost-net",
    "vhost-vsock",
    "tap",
    "open files",
    "locked memory",
  ]);
});

const ailments: [string, Partial<HostFacts>, string, string, string][] = [
  ["no module", { kvm: "ENOENT" }, "kvm", "bad", "modprobe kvm_intel or kvm_amd"],
  ["no right", { kvm: "EACCES" }, "kvm", "bad", "add it to the group of /dev/kvm"],
  ["a strange error", { kvm: "EBUSY" }, "kvm", "bad", "fails with EBUSY"],
  [
    "no extension",
    { kvm: "ENOENT", cpuFlags: new Set(["hypervisor"]) },
    "kvm",
    "bad",
    "nested virtualisation",
  ],
  ["a busy KVM", { kvmMachine: { failure: "EBUSY" } }, "kvm", "bad", "another hypervisor"],
  ["an emulated KVM", { cpuFlags: new Set() }, "kvm", "lack", "small payloads only"],
  ["no memory", { memoryAvailableKiB: 1000 }, "memory", "lack", "-m 128M"],
  [
    "no huge pages",
    { hugePages: { total: 0, free: 0, sizeKiB: 2048 } },
    "huge pages",
    "lack",
    "vm.nr_hugepages",
  ],
  ["no hugetlbfs", { hugetlbfs: [] }, "huge pages", "lack", "mount -t hugetlbfs"],
  ["no vhost-net", { vhostNet: "ENOENT" }, "vhost-net", "lack", "modprobe vhost_net"],
  ["no vsock", { vhostVsock: "ENOENT" }, "vhost-vsock", "lack", "modprobe vhost_vsock"],
  ["no tun", { tun: "ENOENT" }, "tap", "lack", "modprobe tun"],
  ["no capability", { canAdministerNetwork: false }, "tap", "lack", "ip tuntap add"],
  ["few files", { openFilesMax: 256 }, "open files", "lack", "ulimit -n 1024"],
  ["little locked memory", { lockedBytesMax: 65536 }, "locked memory", "lack", "ulimit -l"],
];

test.each(ailments)("%s is found, with what to do", (_, facts, subject, state, remedy) => {
  const findings = examine({ ...healthy, ...facts }).filter((each) => each.state !== "good");
  expect(findings).toMatchObject([{ subject, state, remedy: expect.stringContaining(remedy) }]);
});

test("the kind of KVM shows by the processor's flags", () => {
  expect(kvmKind(new Set(["svm"]))).toBe("on AMD-V");
  expect(kvmKind(new Set(["vmx", "hypervisor"]))).toBe("nested in another machine, on VT-x");
  expect(kvmKind(new Set(["hypervisor"]))).toContain("in software");
});

test("each finding is a line, and a remedy is the line below", () => {
  const text = describeFindings(examine({ ...healthy, tun: "ENOENT" }));
  expect(text).toContain("good  kvm: KVM on VT-x, up to 255 processors a machine\n");
  expect(text).toContain("lack  tap: /dev/net/tun cannot be opened (ENOENT)");
  expect(text).toContain("\n      -> load the module: modprobe tun");
});

test("the facts of this host can be read", () => {
  const facts = readHostFacts();
  expect(facts.memoryAvailableKiB).toBeGreaterThan(0);
  expect(facts.openFilesMax).toBeGreaterThan(0);
  expect(facts.hugePages.sizeKiB).toBeGreaterThanOrEqual(0);
});
