// Drivers that exist on PCI boards only, and the platform devices of those boards.

import type { Keys, Variants } from "../schema.ts";
import { boolean, choice, id, integer, path, powerOfTwo, text, uint32 } from "../schema.ts";
import { onPci } from "./pci_slot.ts";

const deviceId = { type: id, help: "name of the device" } as const;
const iothread = { type: id, help: "an -object iothread that runs it" } as const;
const drive = { type: id, help: "a -drive", required: true } as const;
const supported = false;

const scsiDiskKeys = {
  id: deviceId,
  bus: { type: id, help: "the controller's id and '.0'", required: true },
  channel: { type: integer(0, 0), help: "channel", default: 0 },
  "scsi-id": { type: integer(0, 255), help: "target", required: true },
  lun: { type: integer(0, 255), help: "unit of the target", required: true },
  drive,
  serial: { type: text("TEXT"), help: "serial number" },
  bootindex: { type: integer(0, 255), help: "boot order, 0 first" },
} as const satisfies Keys;

const screenKeys = {
  id: deviceId,
  max_outputs: { type: integer(1, 16), help: "screens", default: 1, aliases: ["max-outputs"] },
  edid: { type: boolean, help: "offer EDID", default: true },
  xres: { type: integer(1, 16384), help: "width", default: 1024 },
  yres: { type: integer(1, 16384), help: "height", default: 768 },
} as const satisfies Keys;

const port = { type: integer(0, 255, { hex: true }), help: "number of the port" } as const;

export const pciVariants = {
  "virtio-scsi-pci": {
    help: "SCSI controller",
    keys: onPci({
      id: deviceId,
      iothread,
      "num-queues": { type: integer(1, 32), help: "request queues" },
      "queue-size": { type: powerOfTwo(4, 1024), help: "entries of a queue", default: 256 },
    }),
    supported,
  },
  "scsi-hd": { help: "SCSI disk", keys: scsiDiskKeys, supported },
  "scsi-cd": { help: "SCSI CD-ROM", keys: scsiDiskKeys, supported },
  "virtio-gpu-pci": {
    help: "graphics card",
    keys: onPci({
      ...screenKeys,
      max_hostmem: { type: integer(0, Number.MAX_SAFE_INTEGER), help: "most host memory, bytes" },
      enable_bar0: { type: boolean, help: "frame buffer in BAR 0", default: false },
      cursor_size: { type: integer(1, 512), help: "pixels of the cursor" },
    }),
    supported,
  },
  "vhost-user-gpu-pci": {
    help: "graphics card of another process",
    keys: onPci({
      ...screenKeys,
      chardev: { type: id, help: "socket to it", required: true },
      "num-queues": { type: integer(1, 2), help: "queues", default: 2 },
      "queue-size": { type: powerOfTwo(4, 1024), help: "entries of a queue", default: 256 },
      virgl: { type: boolean, help: "3D", default: false },
    }),
    supported,
  },
  "pcie-root-port": {
    help: "port for one hot-pluggable device",
    keys: onPci({
      id: deviceId,
      port: { ...port, required: true },
      chassis: { type: integer(0, 255), help: "accepted for libvirt" },
    }),
    supported,
  },
  "vfio-pci": {
    help: "a PCI device of the host",
    keys: onPci({
      id: deviceId,
      host: { type: text("DOMAIN:BUS:SLOT.FUNCTION"), help: "address on the host" },
      sysfsdev: { type: path, help: "its directory in sysfs" },
    }),
    supported,
  },
  "nec-usb-xhci": {
    help: "USB controller",
    keys: onPci({
      id: deviceId,
      iothread,
      p2: { type: integer(1, 15), help: "USB 2 ports" },
      p3: { type: integer(1, 15), help: "USB 3 ports" },
      streams: { type: boolean, help: "bulk streams" },
    }),
    supported,
  },
  "ivshmem-scream": {
    help: "sound card in shared memory",
    keys: onPci({
      id: deviceId,
      memdev: { type: id, help: "a shared memory back end", required: true },
      interface: {
        type: choice("alsa", "pulseaudio", "demo"),
        help: "sound system of the host",
        required: true,
      },
      playback: { type: path, help: "file for what is played" },
      record: { type: path, help: "file for what is recorded" },
      "record-auth": { type: boolean, help: "allow recording" },
    }),
    supported,
  },
  ramfb: {
    help: "plain frame buffer (aarch64)",
    keys: {
      id: deviceId,
      install: { type: boolean, help: "press Enter at the boot prompt", default: false },
    },
    supported,
  },
  pvpanic: {
    help: "reports a guest panic",
    keys: onPci({
      id: deviceId,
      "supported-features": { type: integer(0, 3), help: "bits of the events" },
      "dumpfile-path": { type: path, help: "where a dump goes" },
    }),
    supported,
  },
  "pcie-demo-dev": {
    help: "PCI test device",
    keys: onPci({
      id: deviceId,
      device_type: { type: text("TYPE"), help: "behaviour" },
      bar_num: { type: integer(0, 5), help: "its BAR" },
      bar_size: { type: uint32, help: "bytes of the BAR" },
    }),
    supported,
  },
} as const satisfies Variants;
