// What good command lines mean.

import { expect, test } from "bun:test";
import { parseCommandLine } from "../../src/options/command_line.ts";
import { configOf, refusalOf } from "./run.ts";

const GiB = 1024 ** 3;

const plainZone = {
  what: "the guest's memory",
  kind: "ram",
  path: undefined,
  sizeBytes: GiB / 4,
  share: false,
  dump: true,
  prealloc: false,
  policy: "default",
  hostNodes: [],
} as const;

test("a kernel alone gives a microvm with every default", () => {
  const config = configOf("-kernel vmlinux");
  expect(config).toEqual({
    machine: {
      type: "microvm",
      accel: "kvm",
      memShare: false,
      dumpGuestCore: true,
      acpi: true,
      pit: false,
      replaceable: false,
    },
    cpu: {
      count: 1,
      maxCount: 1,
      sockets: 1,
      dies: 1,
      clusters: 1,
      cores: 1,
      threads: 1,
      pmu: false,
    },
    memory: { sizeBytes: GiB / 4, zones: [plainZone] },
    numa: undefined,
    boot: { kernelPath: "vmlinux", initrdPath: undefined, commandLine: "" },
    incoming: undefined,
    drives: [],
    netdevs: [],
    backEnds: [],
    devices: [],
    iothreads: [],
    randomSources: [],
    chardevs: [],
    serial: undefined,
    qmp: [],
    process: {
      name: "",
      logFile: undefined,
      daemonize: false,
      pidfile: undefined,
      seccomp: true,
      startPaused: false,
      modTestSocket: undefined,
      trace: undefined,
      metricsSocket: undefined,
    },
    ignored: [],
  });
});

test("a configuration cannot be changed at any depth", () => {
  const config = configOf("-kernel k -drive id=a,file=f -device virtio-blk-device,drive=a");
  const nested = [config, config.machine, config.drives, config.drives[0], config.devices[0]];
  expect(nested.every((part) => Object.isFrozen(part))).toBe(true);
});

test.each([
  ["-m 128M", GiB / 8],
  ["-m 256", GiB / 4],
  ["-m 256m", GiB / 4],
  ["-m 1G", GiB],
  ["-m size=3g", 3 * GiB],
  ["-m 1048576K", GiB],
  ["-m 512G", 512 * GiB],
])("%s is a size", (line, bytes) => {
  expect(configOf(`-kernel k ${line}`).memory.sizeBytes).toBe(bytes);
});

test.each([
  ["4", [4, 4, 1, 1, 1, 4, 1]],
  ["cpus=254", [254, 254, 1, 1, 1, 254, 1]],
  ["4,maxcpus=8", [4, 8, 1, 1, 1, 8, 1]],
  ["8,sockets=2", [8, 8, 2, 1, 1, 4, 1]],
  ["8,cores=2", [8, 8, 4, 1, 1, 2, 1]],
  ["8,sockets=2,cores=2", [8, 8, 2, 1, 1, 2, 2]],
  ["8,threads=2", [8, 8, 1, 1, 1, 4, 2]],
  ["1,sockets=2,cores=2,threads=2", [1, 8, 2, 1, 1, 2, 2]],
  ["16,sockets=1,dies=2,clusters=2,cores=2,threads=2", [16, 16, 1, 2, 2, 2, 2]],
])("-smp %s", (value, expected) => {
  const { cpu } = configOf(`-kernel k -smp ${value}`);
  const { count, maxCount, sockets, dies, clusters, cores, threads } = cpu;
  expect([count, maxCount, sockets, dies, clusters, cores, threads]).toEqual(expected);
});

test("machine keys are read, in any letter case of the type", () => {
  const line = "-kernel k -machine MICROVM,mem-share=on,dump-guest-core=off,accel=test,acpi=no";
  expect(configOf(`${line},usb=off`).machine).toEqual({
    type: "microvm",
    accel: "test",
    memShare: true,
    dumpGuestCore: false,
    acpi: false,
    pit: true,
    replaceable: false,
  });
});

test("slots are replaceable on a machine with QMP, or when asked for", () => {
  const qmp = "-qmp unix:/tmp/q,server,nowait";
  const isReplaceable = (line: string) => configOf(`-kernel k ${line}`).machine.replaceable;
  expect(isReplaceable(qmp)).toBe(true);
  expect(isReplaceable("-incoming file:/t")).toBe(true);
  expect(isReplaceable("-machine microvm,replaceable=on")).toBe(true);
  expect(isReplaceable(`-machine microvm,replaceable=off ${qmp}`)).toBe(false);
});

test.each(["-machine accel=kvm:tcg", "-accel kvm", "-accel kvm:tcg", "-machine type=microvm"])(
  "%s uses KVM",
  (line) => expect(configOf(`-kernel k ${line}`).machine.accel).toBe("kvm"),
);

test("the machine none needs no kernel", () => {
  expect(configOf("-machine none -qmp unix:/tmp/s,server,nowait").machine.type).toBe("none");
});

test("several words and uses of -append become one command line", () => {
  const argv = ["-kernel", "k", "-append", "console=ttyS0 quiet", "panic=1", "-append", "ro"];
  const result = parseCommandLine(argv, "0.1.0");
  expect(result).toMatchObject({
    kind: "run",
    config: { boot: { commandLine: "console=ttyS0 quiet panic=1 ro" } },
  });
});

test("a drive is native and direct unless it says otherwise", () => {
  const line = "-kernel k -drive id=a,file=f -drive id=b,file=g,direct=off,readonly=yes";
  const { drives } = configOf(`${line} -drive id=c,file=h,aio=io_uring,direct=false`);
  const rest = { format: "raw", discard: false, detectZeroes: "off", iopsLimit: 0 } as const;
  expect(drives).toEqual([
    { id: "a", file: "f", readonly: false, direct: true, aio: "native", ...rest },
    { id: "b", file: "g", readonly: true, direct: false, aio: "off", ...rest },
    { id: "c", file: "h", readonly: false, direct: false, aio: "io_uring", ...rest },
  ]);
});

test.each([
  ["discard=unmap", { discard: true }],
  ["discard=on", { discard: true }],
  ["discard=ignore", { discard: false }],
  ["detect-zeroes=off", { detectZeroes: "off" }],
  ["detect-zeroes=on", { detectZeroes: "on" }],
  ["detect-zeroes=unmap", { detectZeroes: "unmap" }],
  ["throttling.iops-total=0", { iopsLimit: 0 }],
  ["throttling.iops-total=1000000", { iopsLimit: 1_000_000 }],
  ["aio=threads", { aio: "threads", direct: true }],
  ["aio=threads,direct=off", { aio: "threads", direct: false }],
])("a drive may have %s", (keys, part) => {
  expect(configOf(`-kernel k -drive id=a,file=f,${keys}`).drives).toMatchObject([part]);
});

test("values that this build need not act on are accepted", () => {
  const keys = "throttling.iops-total=0,discard=ignore,detect-zeroes=off,media=disk,if=none";
  expect(configOf(`-kernel k -drive id=a,file=f,${keys},format=raw`).drives).toHaveLength(1);
});

test("a value may contain an equals sign", () => {
  expect(configOf("-kernel k -drive id=a,file=x=y").drives[0]?.file).toBe("x=y");
});

test("devices without an id get the lowest free one of their driver", () => {
  const drives = "-drive id=a,file=f -drive id=b,file=g -drive id=c,file=h";
  const named = "-device virtio-blk-device,drive=a,id=virtio-blk-device0";
  const rest = "-device virtio-blk-device,drive=b -device virtio-blk-device,drive=c";
  const { devices } = configOf(`-kernel k ${drives} ${named} ${rest}`);
  expect(devices.map((device) => device.id)).toEqual([
    "virtio-blk-device0",
    "virtio-blk-device1",
    "virtio-blk-device2",
  ]);
});

test("a block device has one queue a processor and the keys it was given", () => {
  const drives = "-drive id=a,file=f -drive id=b,file=g";
  const first = "-device virtio-blk-device,drive=a,id=x,iothread=io,serial=abc,bootindex=1";
  const second = "-device virtio-blk-device,drive=b,num-queues=1,queue-size=1024";
  const line = `-kernel k -smp 64 -object iothread,id=io ${drives} ${first} ${second}`;
  expect(configOf(line).devices).toEqual([
    {
      driver: "virtio-blk-device",
      id: "x",
      drive: "a",
      iothread: "io",
      serial: "abc",
      bootindex: 1,
      numQueues: 32,
      queueSize: 256,
    },
    {
      driver: "virtio-blk-device",
      id: "virtio-blk-device0",
      drive: "b",
      iothread: undefined,
      serial: undefined,
      bootindex: undefined,
      numQueues: 1,
      queueSize: 1024,
    },
  ]);
});

test("two drives may share a file when both are read-only", () => {
  const line = "-drive id=a,file=f,readonly=on -drive id=b,file=f,readonly=on";
  expect(configOf(`-kernel k ${line}`).drives).toHaveLength(2);
});

test.each([
  ["stdio", { backend: "stdio", id: "serial_chardev" }],
  ["pty", { backend: "pty", id: "serial_chardev" }],
  ["file,path=/f", { backend: "file", id: "serial_chardev", path: "/f" }],
  [
    "socket,path=/s,server,nowait",
    { backend: "socket", id: "serial_chardev", path: "/s", server: true, nowait: true },
  ],
  [
    "socket,host=[::1],port=4444,server",
    { backend: "socket", id: "serial_chardev", host: "[::1]", port: 4444, nowait: false },
  ],
])("-serial %s makes its own chardev", (value, chardev) => {
  const config = configOf(`-kernel k -serial ${value}`);
  expect(config.serial).toEqual({ chardev: "serial_chardev" });
  expect(config.chardevs).toMatchObject([chardev]);
});

test("-serial finds a chardev that stands after it", () => {
  const config = configOf("-kernel k -serial chardev:c -chardev stdio,id=c");
  expect(config.serial).toEqual({ chardev: "c" });
  expect(config.chardevs).toEqual([{ backend: "stdio", id: "c" }]);
});

test("QMP listens on unix, tcp and the socket of -mon, which leaves the chardevs", () => {
  const chardev = "-chardev socket,id=m,path=/m,server,nowait -mon chardev=m,mode=control,id=x";
  const config = configOf(`-kernel k ${chardev} -qmp tcp:127.0.0.1:4444,server,nowait`);
  expect(config.chardevs).toEqual([]);
  expect(config.qmp).toEqual([
    { transport: "tcp", host: "127.0.0.1", port: 4444 },
    { transport: "unix", path: "/m" },
  ]);
});

test("server and nowait may be left out, and IPv6 has brackets", () => {
  expect(configOf("-kernel k -qmp unix:/q").qmp).toEqual([{ transport: "unix", path: "/q" }]);
  expect(configOf("-kernel k -qmp tcp:[::1]:99").qmp).toEqual([
    { transport: "tcp", host: "::1", port: 99 },
  ]);
});

test("process options are read", () => {
  const line = "-kernel k -name vm -D /log -daemonize -pidfile /pid -disable-seccomp -freeze";
  expect(configOf(`${line} -accel test -mod-test /t`).process).toEqual({
    name: "vm",
    logFile: "/log",
    daemonize: true,
    pidfile: "/pid",
    seccomp: false,
    startPaused: true,
    modTestSocket: "/t",
    trace: undefined,
    metricsSocket: undefined,
  });
});

test("-trace takes the guidebook's and upstream's keys, and goes to the log", () => {
  const traceOf = (value: string) => configOf(`-kernel k -trace ${value}`).process.trace;
  expect(traceOf("events=/e")).toEqual({ file: "/e", type: undefined, backend: "log" });
  expect(traceOf("file=/e,type=scopes")).toEqual({ file: "/e", type: "scopes", backend: "log" });
  expect(traceOf("type=all,backend=ftrace")).toEqual({
    file: undefined,
    type: "all",
    backend: "ftrace",
  });
});

test("-metrics names a unix socket", () => {
  expect(configOf("-kernel k -metrics unix:/m").process.metricsSocket).toBe("/m");
  expect(configOf("-kernel k -metrics unix,path=/m").process.metricsSocket).toBe("/m");
});

test("-D without a file logs to stderr", () => {
  expect(configOf("-D -kernel k").process.logFile).toBeUndefined();
});

test("libvirt's options do nothing and are listed for the log", () => {
  const bare = "-no-user-config -nodefaults -nographic -no-shutdown -usb -S";
  const valued = "-overcommit mem-lock=off -uuid 1 -sandbox on -msg timestamp=on -rtc base=utc";
  const { ignored } = configOf(
    `-kernel k ${bare} ${valued} -boot strict=on -realtime x -display y`,
  );
  expect(ignored.map(({ option }) => option).sort()).toEqual([
    "-boot",
    "-display",
    "-msg",
    "-no-shutdown",
    "-no-user-config",
    "-nodefaults",
    "-nographic",
    "-overcommit",
    "-realtime",
    "-rtc",
    "-sandbox",
    "-usb",
    "-uuid",
  ]);
  expect(ignored.find(({ option }) => option === "-uuid")?.values).toEqual(["1"]);
});

test("what follows -- is not read", () => {
  expect(refusalOf(["-kernel", "k", "--", "-nonsense"])).toBe("accepted");
});

test("network devices get the next MAC address that nobody was given", () => {
  const netdevs = ["a", "b", "c", "d"].map((id) => `-netdev tap,id=${id},ifname=tap${id}`);
  const devices = [
    "-device virtio-net-device,netdev=a",
    "-device virtio-net-device,netdev=b,mac=52:54:00:12:34:57",
    "-device virtio-net-device,netdev=c,mac=52:54:00:AB:CD:EF",
    "-device virtio-net-device,netdev=d",
  ];
  const config = configOf(["-kernel k", ...netdevs, ...devices].join(" "));
  expect(config.devices).toMatchObject([
    { mac: "52:54:00:12:34:56" },
    { mac: "52:54:00:12:34:57" },
    { mac: "52:54:00:ab:cd:ef" },
    { mac: "52:54:00:12:34:58" },
  ]);
});

test.each([
  ["ifname=tap0", 1, { kind: "interface", name: "tap0" }],
  ["ifname=tap0,fd=5,queues=4", 4, { kind: "interface", name: "tap0" }],
  ["fd=5", 1, { kind: "descriptors", fds: [5] }],
  ["fds=5:6:7", 3, { kind: "descriptors", fds: [5, 6, 7] }],
  ["fds=5:6,queues=2", 2, { kind: "descriptors", fds: [5, 6] }],
])("-netdev tap,id=n,%s has its queues", (keys, queues, tap) => {
  const { netdevs } = configOf(`-kernel k -netdev tap,id=n,${keys}`);
  expect(netdevs as unknown).toEqual([{ id: "n", queues, tap }]);
});

test("ports get numbers: the first console 0, others the next above all that are taken", () => {
  const chardevs = ["a", "b", "c", "d"].map((id) => `-chardev pty,id=${id}`);
  const devices = [
    "-device virtio-serial-device,max_ports=9",
    "-device virtserialport,chardev=a,id=first",
    "-device virtconsole,chardev=b",
    "-device virtserialport,chardev=c,nr=5,name=org.example",
    "-device virtconsole,chardev=d",
  ];
  const config = configOf(["-kernel k", ...chardevs, ...devices].join(" "));
  expect(config.devices).toMatchObject([
    { driver: "virtio-serial-device", maxPorts: 9 },
    { driver: "virtserialport", id: "first", nr: 6 },
    { driver: "virtconsole", id: "virtconsole0", nr: 0 },
    { driver: "virtserialport", nr: 5, name: "org.example" },
    { driver: "virtconsole", id: "virtconsole1", nr: 7 },
  ]);
});

test.each([
  ["ifname=tap0,vhost=on", 1, undefined],
  ["ifname=tap0,vhost=on,queues=4", 4, undefined],
  ["ifname=tap0,vhost=on,vhostfd=5", 1, [5]],
  ["ifname=tap0,vhost=on,vhostfds=5:6", 2, [5, 6]],
  ["fds=3:4,vhost=on,vhostfds=5:6", 2, [5, 6]],
])("-netdev tap,id=n,%s leaves the frames to the kernel", (keys, queues, fds) => {
  const { netdevs } = configOf(`-kernel k -netdev tap,id=n,${keys}`);
  expect(netdevs as unknown).toMatchObject([{ queues, vhost: { fds } }]);
});

test.each([
  ["file:/a/b", { path: "/a/b", mapped: true }],
  ["file:/a/b,mapped=false", { path: "/a/b", mapped: false }],
  ["file:rel:ative,mapped=on", { path: "rel:ative", mapped: true }],
])("-incoming %s names a template, and no kernel is needed", (value, { path, mapped }) => {
  expect(configOf(`-incoming ${value}`).incoming).toEqual({ transport: "file", path, mapped });
});
