// Where the data plane does what it otherwise does not, with the reasons.

import type { Exceptions } from "../rule.ts";

const RUNTIME = "stands in for the C library or the C++ runtime, whose interface this is";
const ENTRY = "where a thread of the C library begins";
const OWN_CALLS = "the kernel, or clone, calls back through the C convention";

export const ERASED_POINTERS: Exceptions = {
  "zig/io/": "one loop calls sources of every type back: a source gives its own pointer",
  "zig/devices/platform/serial.zig": "called back by a character back end",
  "zig/devices/virtio/blk.zig": "called back by the loop",
  "zig/devices/virtio/console.zig": "called back by a character back end",
  "zig/devices/virtio/net.zig": "called back by the loop",
  "zig/devices/virtio/rng.zig": "called back by the loop",
  "zig/devices/virtio/vhost_user.zig": "called back by its link",
  "zig/vhost_user/link.zig": "called back by the loop, and calls the device back",
  "zig/virtio/device.zig": "called back by the loop",
  "zig/virtio/served.zig": "called back by the loop",
  "zig/virtio/vhost.zig": "called back by the loop",
  "zig/thread.zig": ENTRY,
  "zig/vcpu/x86_64/state.zig": "one ioctl takes structs of many types",
  "zig/host/jail_forward.zig": "the signature of a signal handler",
  "zig/memory/lost_memory.zig": "the signature of a signal handler",
  "zig/seccomp_violation.zig": "the signature of a signal handler",
  "zig/static/": RUNTIME,
};

export const FLAGS: Exceptions = { "zig/static/cxx/tree.zig": RUNTIME };

export const GLOBALS: Exceptions = {
  "zig/abi_gen.zig": "a generator, which is no part of the core",
  "zig/host/jail_forward.zig": "a signal handler has no argument, and the launcher is one process",
  "zig/io/terminal_rescue.zig": "a signal handler has no argument, and there is one terminal",
  "zig/last_line.zig": "a signal handler has no argument, and the log is the process's",
  "zig/trace/trace.zig": "switches are looked at everywhere, and the log is the process's",
  "zig/static/": "state of the process that the C library or the C++ runtime would keep",
};

export const RUNTIME_EXPORTS: Exceptions = { "zig/static/": RUNTIME };

export const C_EXPORTS: Exceptions = {
  ...RUNTIME_EXPORTS,
  "zig/lib.zig": "exports what zig/abi.zig declares",
};

export const C_CALLS: Exceptions = {
  "zig/abi/": "the functions that TypeScript calls",
  "zig/host/jail_abi.zig": "the launcher's part of zig/abi/",
  "zig/host/jail_enter.zig": OWN_CALLS,
  "zig/host/jail_forward.zig": "a signal handler",
  "zig/io/terminal_rescue.zig": "a signal handler",
  "zig/memory/lost_memory.zig": "a signal handler",
  "zig/seccomp_violation.zig": "a signal handler",
  "zig/thread.zig": ENTRY,
  "zig/vcpu/vcpu.zig": "a signal handler",
  "zig/static/": RUNTIME,
};
