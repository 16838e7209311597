// Host sides of devices: -drive, -netdev, -chardev, -serial, -cameradev (behaviour 1.7 to 1.9).

import type { Keys, OptionSchema, Variants } from "../schema.ts";
import {
  boolean,
  choice,
  descriptorList,
  flag,
  id,
  integer,
  ipAddress,
  path,
  size,
  socketPath,
} from "../schema.ts";

const MiB = 1024 ** 2;

const discardWords = {
  kind: "boolean",
  yes: ["unmap", ...boolean.yes],
  no: ["ignore", ...boolean.no],
} as const;

export const driveKeys = {
  id: { type: id, help: "name for -device drive=", required: true },
  file: { type: path, help: "image file or block device", required: true },
  if: {
    type: choice("none", "pflash"),
    help: "where it is plugged",
    default: "none",
    supportedValues: ["none"],
  },
  unit: { type: integer(0, 1), help: "number of the pflash", supported: false },
  readonly: { type: boolean, help: "refuse writes", default: false },
  direct: { type: boolean, help: "bypass the host's page cache", default: true },
  aio: {
    type: choice("native", "io_uring", "threads", "off"),
    help: "how requests reach the host; native if direct, else off; threads is as off",
  },
  format: {
    type: choice("raw", "qcow2"),
    help: "image format",
    default: "raw",
    supportedValues: ["raw"],
  },
  "throttling.iops-total": {
    type: integer(0, 1_000_000),
    help: "requests a second; 0 is no limit",
    default: 0,
  },
  discard: {
    type: discardWords,
    help: "give unused space back to the host",
    default: false,
  },
  "detect-zeroes": {
    type: choice("off", "on", "unmap"),
    help: "zero the range instead of writing zeroes; unmap makes holes, with discard=unmap",
    default: "off",
  },
  media: {
    type: choice("disk", "cdrom"),
    help: "medium of a USB storage device",
    default: "disk",
    supportedValues: ["disk"],
  },
  "l2-cache-size": { type: size(0, 32 * MiB), help: "qcow2 table cache", supported: false },
  "refcount-cache-size": { type: size(0, 32 * MiB), help: "qcow2 count cache", supported: false },
} as const satisfies Keys;

const netdevKeys = {
  id: { type: id, help: "name for -device netdev=", required: true },
  queues: { type: integer(1, 16), help: "pairs of queues", default: 1 },
} as const satisfies Keys;

const interfaceName = {
  kind: "pattern",
  placeholder: "NAME",
  pattern: /^[^\s/:]{1,15}$/,
  expected: "the name of an interface, 1 to 15 characters",
} as const;

export const netdevVariants = {
  tap: {
    help: "a tap interface of the host",
    keys: {
      ...netdevKeys,
      ifname: { type: interfaceName, help: "the interface" },
      fd: { type: integer(0, 0x7fff_ffff), help: "descriptor of an opened tap" },
      fds: { type: descriptorList, help: "one descriptor a pair of queues" },
      vhost: { type: boolean, help: "data path in the host kernel", default: false },
      vhostfd: { type: integer(0, 0x7fff_ffff), help: "descriptor of an opened /dev/vhost-net" },
      vhostfds: { type: descriptorList, help: "one descriptor a pair of queues" },
      path: { type: path, help: "character device of a macvtap", supported: false },
      macnat: {
        type: boolean,
        help: "translate hardware addresses",
        default: false,
        supportedValues: [false],
      },
    },
  },
  "vhost-user": {
    help: "a data path in another process",
    keys: { ...netdevKeys, chardev: { type: id, help: "socket to it", required: true } },
  },
} as const satisfies Variants;

const socketKeys = {
  path: { type: socketPath, help: "unix socket" },
  host: { type: ipAddress, help: "tcp address; without it all of this host" },
  port: { type: integer(1, 65535), help: "tcp port" },
  server: { type: flag, help: "listen instead of connecting" },
  nowait: { type: flag, help: "start the guest before a client has come" },
} as const satisfies Keys;

const chardevId = { type: id, help: "name for chardev=", required: true } as const;
const outputFile = { type: path, help: "the file", required: true } as const;

export const chardevVariants = {
  stdio: { help: "this terminal", keys: { id: chardevId } },
  pty: { help: "a new pseudo terminal", keys: { id: chardevId } },
  socket: { help: "a unix or tcp socket", keys: { id: chardevId, ...socketKeys } },
  file: { help: "a file, output only", keys: { id: chardevId, path: outputFile } },
  "redirect-to-log": {
    help: "lines of the log",
    keys: { id: chardevId },
    supported: false,
  },
} as const satisfies Variants;

export const serialVariants = {
  chardev: {
    help: "a -chardev, by its id",
    keys: { id: { type: id, help: "its id", positional: true, required: true } },
  },
  stdio: { help: "this terminal", keys: {} },
  pty: { help: "a new pseudo terminal", keys: {} },
  socket: { help: "a unix or tcp socket", keys: socketKeys },
  file: { help: "a file, output only", keys: { path: outputFile } },
} as const satisfies Variants;

const cameraKeys = {
  id: { type: id, help: "name for -device cameradev=", required: true },
  path: { type: path, help: "video device of the host" },
} as const satisfies Keys;

const group = "Devices";

export const backendOptions: readonly OptionSchema[] = [
  { name: "drive", group, help: "a disk image", repeatable: true, shape: "keys", keys: driveKeys },
  {
    name: "netdev",
    group,
    help: "the host side of a network device",
    repeatable: true,
    shape: "variants",
    selector: "type",
    variants: netdevVariants,
  },
  {
    name: "chardev",
    group,
    help: "the host side of a character device",
    repeatable: true,
    shape: "variants",
    selector: "backend",
    variants: chardevVariants,
  },
  {
    name: "serial",
    group,
    help: "the serial port",
    shape: "variants",
    selector: "backend",
    variants: serialVariants,
  },
  {
    name: "cameradev",
    group,
    help: "the host side of a camera",
    repeatable: true,
    shape: "variants",
    selector: "driver",
    variants: {
      v4l2: { help: "a Video4Linux device", keys: cameraKeys },
      demo: { help: "a test picture", keys: cameraKeys },
    },
    supported: false,
  },
];
