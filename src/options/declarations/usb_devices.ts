// Drivers that attach to the USB controller.

import type { Keys, Variants } from "../schema.ts";
import { choice, id, integer, path, text } from "../schema.ts";

const supported = false;
const drive = { type: id, help: "a -drive", required: true } as const;
const usbId = integer(0, 0xffff, { hex: true });

const usbKeys = {
  id: { type: id, help: "name of the device" },
  bus: { type: id, help: "accepted for libvirt" },
  port: { type: text("PORT"), help: "accepted for libvirt" },
} as const satisfies Keys;

export const usbVariants = {
  "usb-kbd": { help: "keyboard", keys: usbKeys, supported },
  "usb-tablet": { help: "pointer with absolute coordinates", keys: usbKeys, supported },
  "usb-consumer": { help: "media keys", keys: usbKeys, supported },
  "usb-storage": { help: "storage, bulk only", keys: { ...usbKeys, drive }, supported },
  "usb-uas": { help: "storage, attached SCSI", keys: { ...usbKeys, drive }, supported },
  "usb-camera": {
    help: "video camera",
    keys: {
      ...usbKeys,
      cameradev: { type: id, help: "a -cameradev" },
      backend: { type: choice("v4l2", "demo"), help: "the guidebook's way to name it" },
      path: { type: path, help: "video device of the host" },
      iothread: { type: id, help: "an -object iothread that runs it" },
    },
    supported,
  },
  "usb-host": {
    help: "a USB device of the host",
    keys: {
      ...usbKeys,
      hostbus: { type: integer(0, 255), help: "its bus" },
      hostaddr: { type: integer(0, 255), help: "its address" },
      hostport: { type: text("PORT"), help: "its physical port" },
      vendorid: { type: usbId, help: "its vendor" },
      productid: { type: usbId, help: "its product" },
      isobufs: { type: integer(1, 255), help: "isochronous buffers", default: 4 },
      isobsize: { type: integer(1, 255), help: "packets in a buffer", default: 32 },
    },
    supported,
  },
} as const satisfies Variants;
