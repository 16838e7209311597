// ozone's command line and plans as values: no root, no host.

import { describe, expect, test } from "bun:test";
import { type Controller, findHierarchy, type Hierarchy } from "../../src/ozone/control_groups.ts";
import { isWithin, parseMounts } from "../../src/ozone/mount_table.ts";
import { type JailOptions, ozoneHelp, ozoneOptions, parseOzone } from "../../src/ozone/options.ts";
import { type HostFacts, planJail } from "../../src/ozone/plan.ts";
import { describeStep } from "../../src/ozone/step.ts";

const required = ["-name", "vm", "-exec_file", "/opt/stratovirt", "-uid", "100", "-gid", "101"];

function optionsOf(...argv: string[]): JailOptions {
  const command = parseOzone([...required, ...argv]);
  if (command.kind !== "launch") throw new Error(`the command is ${command.kind}`);
  return command.options;
}

function factsOf(hierarchies: [Controller, Hierarchy][] = []): HostFacts {
  const sources = [{ path: "/images/vmlinux", kind: "file" } as const];
  return { sources, hierarchies: new Map(hierarchies), programExecutable: true };
}

describe("ozone's command line", () => {
  test("reads the guidebook's example", () => {
    const options = optionsOf(
      ...["-capability", "CAP_CHOWN", "-netns", "/var/run/netns/mynet"],
      ...["-source", "/path/vmlinux.bin", "/path/rootfs", "-numa", "0"],
      ...["-cgroup", "cpuset.cpus=4-5", "memory.limit_in_bytes=1000000"],
      ...["--", "-kernel", "./vmlinux.bin", "-qmp", "unix:./stratovirt.socket,server,nowait"],
    );
    expect(options).toEqual({
      name: "vm",
      program: "/opt/stratovirt",
      uid: 100,
      gid: 101,
      capabilities: ["CAP_CHOWN"],
      networkNamespace: "/var/run/netns/mynet",
      sources: ["/path/vmlinux.bin", "/path/rootfs"],
      numaNode: 0,
      groupLimits: { cpus: "4-5", memoryBytes: 1_000_000n },
      resourceLimits: [],
      pidNamespace: true,
      arguments: ["-kernel", "./vmlinux.bin", "-qmp", "unix:./stratovirt.socket,server,nowait"],
    });
  });

  test.each([
    [["cpuset.cpus=0,2-3,memory.limit_in_bytes=1G"], { cpus: "0,2-3", memoryBytes: 1n << 30n }],
    [["cpuset.cpus=0,", "memory.max=2k"], { cpus: "0", memoryBytes: 2048n }],
    [["memory.limit_in_bytes=5"], { cpus: undefined, memoryBytes: 5n }],
  ])("reads -cgroup %j", (words, limits) => {
    expect(optionsOf("-cgroup", ...words).groupLimits).toEqual(limits);
  });

  test("reads resource limits with one value, two and none", () => {
    const unlimited = 2n ** 64n - 1n;
    expect(optionsOf("-rlimit", "nofile=10:20,core=0,as=unlimited").resourceLimits).toEqual([
      { name: "nofile", resource: 7, soft: 10n, hard: 20n },
      { name: "core", resource: 4, soft: 0n, hard: 0n },
      { name: "as", resource: 9, soft: unlimited, hard: unlimited },
    ]);
  });

  test("takes both spellings of -exec_file and needs no user to clean", () => {
    const argv = ["-name", "vm", "-exec-file", "/opt/stratovirt", "-clean-resource"];
    expect(parseOzone(argv)).toEqual({ kind: "clean", name: "vm", program: "/opt/stratovirt" });
  });

  test("lists every option in its help", () => {
    const help = ozoneHelp("1.0");
    expect(ozoneOptions.filter(({ name }) => !help.includes(`-${name}`))).toEqual([]);
  });

  test.each([
    [["-exec_file", "/x"], "ozone needs -name: -name NAME."],
    [["-name", "a"], "ozone needs -exec_file: -exec_file PATH."],
    [["-name", "a", "-exec_file", "/x"], "ozone needs -uid: -uid N"],
    [["-name", "a/b"], "Bad value 'a/b' for -name: expected a name"],
    [["-name", ".."], "Bad value '..' for -name: expected a name"],
    [["-name", "a".repeat(256)], "for -name: expected 1 to 255 bytes"],
    [[...required, "-exec-file", "/y"], "The option -exec_file is given twice"],
    [[...required, "-exec_fil", "/y"], "Unknown option '-exec_fil'. Did you mean '-exec_file'?"],
    [[...required, "-uid"], "The option -uid is given twice"],
    [["-name", "a", "-exec_file", "/x", "-uid", "-1"], "Unknown option '-1'"],
    [["-name", "a", "-exec_file", "/x", "-uid", "4294967295"], "Bad value '4294967295' for -uid"],
    [[...required, "-capability", "CAP_CHOWM"], "Did you mean 'CAP_CHOWN'?"],
    [[...required, "-cgroup", "cpuset.mems=0"], "Unknown key 'cpuset.mems' of -cgroup."],
    [[...required, "-cgroup", "cpuset.cpus=a"], "Bad value 'a' for cpuset.cpus of -cgroup"],
    [[...required, "-cgroup", "memory.max=0"], "Bad value '0' for memory.max of -cgroup"],
    [
      [...required, "-cgroup", "memory.max=1,memory.max=2"],
      "'memory.max' of -cgroup is given twice",
    ],
    [[...required, "-rlimit", "nofiles=1"], "Did you mean 'nofile'?"],
    [[...required, "-rlimit", "nofile=2:1"], "The soft limit of -rlimit nofile=2:1 is above"],
    [[...required, "-rlimit", "nofile=many"], "expected a number or 'unlimited'"],
    [["stratovirt"], "Unexpected argument 'stratovirt' before any option."],
  ])("refuses %j", (argv, sentence) => {
    expect(() => parseOzone(argv)).toThrow(sentence);
  });
});

describe("a plan", () => {
  test("has upstream's root and binds the executable", () => {
    const plan = planJail(optionsOf("-netns", "/run/netns/n"), factsOf());
    expect(plan.root).toBe("/srv/ozone/stratovirt/vm");
    expect(plan.program).toBe("/stratovirt");
    expect(plan.groups).toEqual([]);
    expect(plan.steps.map(describeStep)).toEqual([
      "make the folder /srv/ozone",
      "make the folder /srv/ozone/stratovirt",
      "make the jail's root /srv/ozone/stratovirt/vm",
      "make a mount namespace",
      "mount the jail's root /srv/ozone/stratovirt/vm",
      "put the executable /opt/stratovirt at /srv/ozone/stratovirt/vm/stratovirt",
      "bind the source /images/vmlinux to /srv/ozone/stratovirt/vm/vmlinux",
      "make the folder /srv/ozone/stratovirt/vm/dev",
      "make the folder /srv/ozone/stratovirt/vm/dev/net",
      "make the device node /srv/ozone/stratovirt/vm/dev/kvm",
      "make the device node /srv/ozone/stratovirt/vm/dev/net/tun",
      "make the device node /srv/ozone/stratovirt/vm/dev/vhost-net",
      "make the device node /srv/ozone/stratovirt/vm/dev/vhost-vsock",
      "make the device node /srv/ozone/stratovirt/vm/dev/urandom",
      "make the device node /srv/ozone/stratovirt/vm/dev/null",
      "make a UTS namespace with the host name 'Ozone'",
      "make an IPC namespace",
      "join the network namespace /run/netns/n",
    ]);
  });

  test("uses one group of cgroup v2 for both controllers", () => {
    const hierarchy = { version: 2, mount: "/cg" } as const;
    const options = optionsOf("-numa", "1", "-cgroup", "cpuset.cpus=4-5", "memory.max=1M");
    const facts = factsOf([
      ["cpuset", hierarchy],
      ["memory", hierarchy],
    ]);
    const plan = planJail(options, facts);
    expect(plan.groups).toEqual(["/cg/stratovirt/vm"]);
    expect(plan.steps.slice(3, 10).map(describeStep)).toEqual([
      "enable the controllers cpuset and memory in /cg/cgroup.subtree_control",
      "make the control group /cg/stratovirt",
      "enable the controllers cpuset and memory in /cg/stratovirt/cgroup.subtree_control",
      "make the control group /cg/stratovirt/vm",
      "write '1' to /cg/stratovirt/vm/cpuset.mems",
      "write '4-5' to /cg/stratovirt/vm/cpuset.cpus",
      "write '1048576' to /cg/stratovirt/vm/memory.max",
    ]);
  });

  test("uses a group for each controller of cgroup v1 and fills empty cpusets", () => {
    const options = optionsOf("-cgroup", "cpuset.cpus=4", "memory.limit_in_bytes=1M");
    const facts = factsOf([
      ["cpuset", { version: 1, mount: "/cg/cpuset" }],
      ["memory", { version: 1, mount: "/cg/memory" }],
    ]);
    const plan = planJail(options, facts);
    expect(plan.groups).toEqual(["/cg/cpuset/stratovirt/vm", "/cg/memory/stratovirt/vm"]);
    expect(plan.steps.slice(3, 11).map((step) => step.kind)).toEqual([
      "makeParentGroup",
      "inheritCpuset",
      "makeGroup",
      "setGroupValue",
      "inheritCpuset",
      "makeParentGroup",
      "makeGroup",
      "setGroupValue",
    ]);
  });

  test("refuses two sources of one name", () => {
    const sources = ["/a/disk", "/b/disk"].map((path) => ({ path, kind: "file" }) as const);
    expect(() => planJail(optionsOf(), { ...factsOf(), sources })).toThrow(
      "The source '/b/disk' would be /disk in the jail, which is taken",
    );
  });
});

describe("the mount table", () => {
  const mounts = parseMounts(
    "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/root rw,errors=continue\n" +
      "37 35 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n",
  );

  test("decodes paths and options", () => {
    expect(mounts).toEqual([
      { target: "/mnt/a b", type: "ext4", options: ["rw", "errors=continue"] },
      { target: "/sys/fs/cgroup/cpuset", type: "cgroup", options: ["rw", "cpuset"] },
    ]);
  });

  test("tells where a controller is, or that it is missing", () => {
    const found = { version: 1, mount: "/sys/fs/cgroup/cpuset" } as const;
    expect(findHierarchy("cpuset", mounts)).toEqual(found);
    expect(() => findHierarchy("memory", mounts)).toThrow(
      "The cgroup controller 'memory' is missing on this host: no cgroup file system is mounted",
    );
  });

  test("tells paths below a folder from those that only start alike", () => {
    expect(isWithin("/srv/ozone/a/b", "/srv/ozone/a")).toBe(true);
    expect(isWithin("/srv/ozone/ab", "/srv/ozone/a")).toBe(false);
  });
});
