// The options of the process: control sockets, log, daemon, displays, and libvirt's no-ops.

import type { Keys, OptionSchema, Variants } from "../schema.ts";
import { choice, flag, hostAndPort, id, integer, path, socketPath, text } from "../schema.ts";

const listenKeys = {
  server: { type: flag, help: "accepted; QMP always listens" },
  nowait: { type: flag, help: "accepted; QMP never waits" },
  iothread: { type: id, help: "iothread of the socket", supported: false },
} as const satisfies Keys;

export const qmpVariants = {
  unix: {
    help: "a unix socket",
    keys: {
      path: { type: socketPath, help: "the socket", positional: true, required: true },
      ...listenKeys,
    },
  },
  tcp: {
    help: "a tcp port",
    keys: {
      address: { type: hostAndPort, help: "IP:PORT", positional: true, required: true },
      ...listenKeys,
    },
  },
} as const satisfies Variants;

export const monKeys = {
  chardev: { type: id, help: "a -chardev socket with server", positional: true, required: true },
  id: { type: id, help: "name of the monitor" },
  mode: { type: choice("control"), help: "the protocol", required: true },
} as const satisfies Keys;

export const traceKeys = {
  file: {
    type: path,
    help: "file with one regular expression for names of events a line",
    aliases: ["events"],
  },
  type: { type: choice("all", "events", "scopes"), help: "what to trace beside that" },
  backend: {
    type: choice("log", "ftrace"),
    help: "the log, at level trace, or the kernel's trace_marker",
    default: "log",
  },
} as const satisfies Keys;

export const metricsVariants = {
  unix: {
    help: "a unix socket",
    keys: { path: { type: socketPath, help: "the socket", positional: true, required: true } },
  },
} as const satisfies Variants;

const control = "Control";
const group = "Process";

export const processOptions: readonly OptionSchema[] = [
  {
    name: "qmp",
    group: control,
    help: "listen for QMP (optional here, unlike upstream)",
    shape: "variants",
    selector: "transport",
    variants: qmpVariants,
  },
  { name: "mon", group: control, help: "QMP on a -chardev", shape: "keys", keys: monKeys },
  {
    name: "S",
    aliases: ["freeze"],
    group: control,
    help: "start paused; 'cont' by QMP starts the guest",
    shape: "flag",
  },
  {
    name: "mod-test",
    group: control,
    help: "connect to a module test's socket; needs accel=test",
    shape: "value",
    type: socketPath,
  },
  {
    name: "vnc",
    group: control,
    help: "VNC display IP:N",
    shape: "value",
    type: text("IP:N[,tls-creds=ID][,sasl=on][,sasl-authz=ID]", 4096),
    supported: false,
  },
  {
    name: "trace",
    group: control,
    help: "trace events",
    shape: "keys",
    keys: traceKeys,
  },
  {
    name: "metrics",
    group: control,
    help: "serve Prometheus metrics over HTTP",
    shape: "variants",
    selector: "transport",
    variants: metricsVariants,
  },
  {
    name: "D",
    group,
    help: "log to a file, else to stderr",
    shape: "value",
    type: path,
    optional: true,
  },
  { name: "daemonize", group, help: "run in the background", shape: "flag" },
  {
    name: "pidfile",
    group,
    help: "write the process id; needs -daemonize",
    shape: "value",
    type: path,
  },
  { name: "disable-seccomp", group, help: "allow every system call", shape: "flag" },
  {
    name: "windows_emu_pid",
    group,
    help: "end with another process",
    shape: "value",
    type: integer(1, 0x7fff_ffff),
    supported: false,
  },
  { name: "help", aliases: ["h"], group, help: "print this help", shape: "flag" },
  { name: "version", aliases: ["V"], group, help: "print the version", shape: "flag" },
];

// libvirt passes these; upstream accepts them and does nothing (guidebook chapter 7).
const libvirtNames = [
  "overcommit",
  "uuid",
  "no-user-config",
  "nodefaults",
  "sandbox",
  "msg",
  "rtc",
  "no-shutdown",
  "boot",
  "nographic",
  "realtime",
  "display",
  "usb",
];

export const libvirtOptions: readonly OptionSchema[] = libvirtNames.map((name) => ({
  name,
  group,
  help: "accepted for libvirt and ignored",
  repeatable: true,
  shape: "ignored",
}));
