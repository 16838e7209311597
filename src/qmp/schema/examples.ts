// An example of each command, as the reference shows it and as a test executes it.

export interface Example {
  /** The arguments of the request; none without. */
  readonly args?: Readonly<Record<string, unknown>>;
  readonly returns: unknown;
  /** A descriptor comes with the request. */
  readonly hasDescriptor?: true;
  /** The list is longer: only some elements are shown. */
  readonly isExcerpt?: true;
}

const done: Example = { returns: {} };
const noneOfThem: Example = { returns: [] };
const place = { "socket-id": 0, die_id: 0, "core-id": 0, "thread-id": 0 };
const firstCpu = "/machine/unattached/device[0]";

const lifeCycle = {
  qmp_capabilities: done,
  "query-status": { returns: { singlestep: false, running: true, status: "running" } },
  stop: done,
  cont: done,
  quit: done,
  system_reset: done,
  system_powerdown: done,
} satisfies Record<string, Example>;

const migration = {
  migrate: { args: { uri: "file:/var/lib/templates/debian" }, returns: {} },
  "query-migrate": { returns: { status: "none" } },
  migrate_cancel: done,
} satisfies Record<string, Example>;

const introspection = {
  "query-version": {
    returns: { qemu: { micro: 1, minor: 0, major: 5 }, package: "StratoVirt-0.1.0" },
  },
  "query-commands": { returns: [{ name: "query-status" }], isExcerpt: true },
  "query-events": { returns: [{ name: "STOP" }, { name: "SHUTDOWN" }], isExcerpt: true },
  "query-qmp-schema": {
    returns: [{ name: "str", "meta-type": "builtin", "json-type": "string" }],
    isExcerpt: true,
  },
  "query-target": { returns: { arch: process.arch === "arm64" ? "aarch64" : "x86_64" } },
  "query-kvm": { returns: { enabled: true, present: true } },
  "query-machines": {
    returns: [
      {
        name: "microvm",
        "hotpluggable-cpus": false,
        "numa-mem-supported": false,
        "cpu-max": 255,
        deprecated: false,
      },
    ],
    isExcerpt: true,
  },
} satisfies Record<string, Example>;

const inventory = {
  "query-cpus": {
    returns: [
      {
        current: true,
        qom_path: firstCpu,
        halted: false,
        props: place,
        CPU: 0,
        thread_id: 4242,
        arch: process.arch === "arm64" ? "arm" : "x86",
      },
    ],
  },
  "query-hotpluggable-cpus": {
    returns: [
      {
        type: process.arch === "arm64" ? "host-aarch64-cpu" : "host-x86-cpu",
        "vcpus-count": 1,
        props: place,
        "qom-path": firstCpu,
      },
    ],
    isExcerpt: true,
  },
  "query-iothreads": {
    returns: [{ id: "io1", "thread-id": 77, "poll-max-ns": 0, "poll-grow": 0, "poll-shrink": 0 }],
  },
  "query-chardev": {
    returns: [{ "frontend-open": true, filename: "pty:/dev/pts/9", label: "serial0" }],
  },
} satisfies Record<string, Example>;

const board = {
  "query-boot-times": {
    returns: {
      origin: "exec",
      "runtime-ready": 9400,
      "machine-built": 14200,
      "guest-started": 15100,
    },
  },
  "query-mem": done,
  "query-mem-gpa": { args: { gpa: "100000" }, returns: "A3A2A1A0" },
  input_event: { args: { key: "keyboard", value: "30,1" }, returns: {} },
  "human-monitor-command": {
    args: { "command-line": "info snapshots" },
    returns: "There is no snapshot: the drives are raw images.\r\n",
  },
} satisfies Record<string, Example>;

const capabilities = {
  "query-command-line-options": {
    args: { option: "m" },
    returns: [
      {
        option: "m",
        parameters: [{ name: "size", type: "size", help: "guest memory, MiB without unit" }],
      },
    ],
  },
  "qom-list-types": {
    args: { implements: "device" },
    returns: [{ name: "virtio-blk-device", parent: "device" }],
    isExcerpt: true,
  },
  "device-list-properties": {
    args: { typename: "virtio-blk-device" },
    returns: [{ name: "drive", type: "string", description: "a -drive" }],
    isExcerpt: true,
  },
  "qom-list": { args: { path: "/machine" }, returns: [] },
  "qom-get": { args: { path: "/machine", property: "type" }, returns: [] },
  "query-block": noneOfThem,
  "query-blockstats": noneOfThem,
  "query-named-block-nodes": noneOfThem,
  "query-block-jobs": noneOfThem,
  "query-migrate-capabilities": noneOfThem,
  "query-tpm-models": noneOfThem,
  "query-tpm-types": noneOfThem,
  "query-gic-capabilities": noneOfThem,
  "query-sev-capabilities": done,
  "block-commit": { args: { device: "root" }, returns: {} },
} satisfies Record<string, Example>;

const memory = {
  balloon: { args: { value: 134217728 }, returns: {} },
  "query-balloon": { returns: { actual: 268435456 } },
} satisfies Record<string, Example>;

const descriptors = {
  getfd: { args: { fdname: "tap0" }, returns: {}, hasDescriptor: true },
  closefd: { args: { fdname: "tap0" }, returns: {} },
} satisfies Record<string, Example>;

const trace = {
  "trace-get-state": {
    args: { name: "^virtio_blk_execute$" },
    returns: [{ name: "virtio_blk_execute", state: false }],
  },
  "trace-set-state": { args: { name: "^virtio_blk_", enable: true }, returns: {} },
} satisfies Record<string, Example>;

const hotReplace = {
  "blockdev-add": {
    args: {
      "node-name": "disk1",
      file: { driver: "file", filename: "/srv/disk1.img", aio: "io_uring" },
      "read-only": false,
    },
    returns: {},
  },
  "blockdev-del": { args: { "node-name": "disk1" }, returns: {} },
  netdev_add: { args: { id: "net1", fds: "tap0" }, returns: {} },
  netdev_del: { args: { id: "net1" }, returns: {} },
  device_add: {
    args: { id: "disk1", driver: "virtio-blk-mmio", drive: "disk1", addr: "0x1" },
    returns: {},
  },
  device_del: { args: { id: "disk1" }, returns: {} },
} satisfies Record<string, Example>;

/** By the command's name. */
export const examples: Readonly<Record<string, Example>> = {
  ...lifeCycle,
  ...migration,
  ...introspection,
  ...inventory,
  ...memory,
  ...board,
  ...capabilities,
  ...descriptors,
  ...trace,
  ...hotReplace,
};
