// -device: every driver of the guidebook and of upstream with its keys (behaviour 1.13).
// A driver is switched on by removing its `supported: false`.

import type { Keys, OptionSchema, Variants } from "../schema.ts";
import { boolean, choice, id, integer, mac, path, powerOfTwo, text, uint32 } from "../schema.ts";
import { pciVariants } from "./pci_devices.ts";
import { onPci } from "./pci_slot.ts";
import { usbVariants } from "./usb_devices.ts";

const supported = false;
const deviceId = { type: id, help: "name of the device" } as const;
const iothread = { type: id, help: "an -object iothread that runs it" } as const;
const chardev = { type: id, help: "a -chardev", required: true } as const;
const bootindex = { type: integer(0, 255), help: "boot order, 0 first" } as const;

/** virtio-blk has as many queues as there are processors, up to this. */
export const maxBlockQueues = 32;

const blockQueues = {
  "num-queues": { type: integer(1, maxBlockQueues), help: "request queues, default one a CPU" },
  // The guidebook's range is (2, 1024].
  "queue-size": { type: powerOfTwo(4, 1024), help: "entries of a queue", default: 256 },
} as const satisfies Keys;

const blockKeys = {
  id: deviceId,
  drive: { type: id, help: "a -drive", required: true },
  iothread,
  // VIRTIO 1.2, 5.2.6: the id string of GET_ID has 20 bytes.
  serial: { type: text("TEXT", 20), help: "serial number shown to the guest" },
  bootindex,
  ...blockQueues,
} as const satisfies Keys;

const vhostUserBlockKeys = { id: deviceId, chardev, bootindex, ...blockQueues } as const;

const netKeys = {
  id: deviceId,
  netdev: { type: id, help: "a -netdev", required: true },
  mac: { type: mac, help: "hardware address" },
  iothread,
  "rx-iothread": { type: id, help: "an iothread that receives", supported: false },
  "tx-iothread": { type: id, help: "an iothread that sends", supported: false },
  mq: { type: boolean, help: "several pairs of queues", default: false },
  "queue-size": { type: powerOfTwo(256, 4096), help: "entries of a queue", default: 256 },
  vectors: { type: integer(0, 2048), help: "accepted for libvirt" },
} as const satisfies Keys;

const serialBusKeys = {
  id: deviceId,
  "max-ports": {
    type: integer(1, 31),
    help: "ports the guest has room for",
    aliases: ["max_ports"],
  },
} as const satisfies Keys;

const portKeys = {
  id: deviceId,
  chardev,
  nr: { type: integer(0, 30), help: "number of the port, default the next" },
  // What a port's name may have in the guest: zig/devices/virtio/console_config.zig.
  name: { type: text("NAME", 64), help: "name in the guest, default the id" },
} as const satisfies Keys;

const vsockKeys = {
  id: deviceId,
  "guest-cid": {
    type: integer(3, 0xffff_fffe),
    help: "context id of the guest",
    required: true,
    aliases: ["guest_cid"],
  },
  vhostfd: { type: integer(0, 0x7fff_ffff), help: "descriptor of an opened /dev/vhost-vsock" },
} as const satisfies Keys;

const balloonKeys = {
  id: deviceId,
  "deflate-on-oom": {
    type: boolean,
    help: "the guest may take pages back",
    default: false,
    aliases: ["deflate_on_oom"],
  },
  "free-page-reporting": {
    type: boolean,
    help: "the guest reports free pages",
    default: false,
    aliases: ["free_page_reporting"],
  },
  "auto-balloon": { type: boolean, help: "follow the guest's free memory", supported },
  "membuf-percent": { type: integer(20, 80), help: "memory kept free", supported },
  "monitor-interval": { type: integer(5, 300), help: "seconds between looks", supported },
} as const satisfies Keys;

const rngKeys = {
  id: deviceId,
  rng: { type: id, help: "an -object rng-random", required: true },
  "max-bytes": { type: uint32, help: "bytes in a period" },
  period: { type: integer(1, 0xffff_ffff), help: "milliseconds" },
} as const satisfies Keys;

const fsKeys = {
  id: deviceId,
  chardev,
  // VIRTIO 1.2, 5.11.4: the tag field has 36 bytes.
  tag: { type: text("TAG", 36), help: "name to mount by", required: true },
} as const satisfies Keys;

const pmemKeys = {
  id: deviceId,
  memdev: { type: id, help: "a memory back end", required: true },
  memaddr: { type: text("ADDRESS"), help: "guest address" },
} as const satisfies Keys;

const memKeys = {
  ...pmemKeys,
  "block-size": { type: text("SIZE"), help: "unit of plugging" },
  node: { type: integer(0, 7), help: "memory node" },
  "requested-size": { type: text("SIZE"), help: "plugged at start" },
} as const satisfies Keys;

const inputKeys = {
  id: deviceId,
  evdev: { type: path, help: "event device of the host", required: true },
} as const satisfies Keys;

const touchKeys = {
  id: deviceId,
  serial: { type: text("TEXT"), help: "serial number" },
  x: { type: integer(0, 0xffff, { hex: true }), help: "width" },
  y: { type: integer(0, 0xffff, { hex: true }), help: "height" },
  touchtype: { type: choice("screen", "pad"), help: "kind of surface", default: "screen" },
} as const satisfies Keys;

export const deviceVariants = {
  "virtio-blk-device": { help: "disk", keys: blockKeys },
  "virtio-blk-pci": { help: "disk", keys: onPci(blockKeys), supported },
  "vhost-user-blk-device": { help: "disk of another process", keys: vhostUserBlockKeys },
  "vhost-user-blk-pci": { help: "same, PCI", keys: onPci(vhostUserBlockKeys), supported },
  "virtio-net-device": { help: "network card", keys: netKeys },
  "virtio-net-pci": { help: "network card", keys: onPci(netKeys), supported },
  "virtio-serial-device": { help: "bus of consoles and ports", keys: serialBusKeys },
  "virtio-serial-pci": { help: "bus of consoles, PCI", keys: onPci(serialBusKeys), supported },
  virtconsole: { help: "console port", keys: portKeys },
  virtserialport: { help: "generic port", keys: portKeys },
  "vhost-vsock-device": { help: "host and guest sockets", keys: vsockKeys },
  "vhost-vsock-pci": { help: "host and guest sockets", keys: onPci(vsockKeys), supported },
  "virtio-balloon-device": { help: "memory balloon", keys: balloonKeys },
  "virtio-balloon-pci": { help: "memory balloon", keys: onPci(balloonKeys), supported },
  "virtio-rng-device": { help: "random numbers", keys: rngKeys },
  "virtio-rng-pci": { help: "random numbers", keys: onPci(rngKeys), supported },
  "vhost-user-fs-device": { help: "shared folder", keys: fsKeys },
  "vhost-user-fs-pci": { help: "shared folder", keys: onPci(fsKeys), supported },
  "virtio-mem-device": { help: "pluggable memory", keys: memKeys, supported },
  "virtio-mem-pci": { help: "pluggable memory", keys: onPci(memKeys), supported },
  "virtio-pmem-device": { help: "persistent memory", keys: pmemKeys, supported },
  "virtio-pmem-pci": { help: "persistent memory", keys: onPci(pmemKeys), supported },
  "virtio-input-device": { help: "host input device", keys: inputKeys, supported },
  "virtio-input-pci": { help: "host input device", keys: onPci(inputKeys), supported },
  "virtio-multitouch-device": { help: "touch surface", keys: touchKeys, supported },
  "virtio-multitouch-pci": { help: "touch surface", keys: onPci(touchKeys), supported },
  ...pciVariants,
  ...usbVariants,
} as const satisfies Variants;

export const deviceOptions: readonly OptionSchema[] = [
  {
    name: "device",
    group: "Devices",
    help: "a device of the guest",
    repeatable: true,
    shape: "variants",
    selector: "driver",
    variants: deviceVariants,
  },
];
