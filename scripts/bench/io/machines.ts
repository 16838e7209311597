// The machines that are compared: the same kernel, disks and network, each program at its best.

import { kernelArguments } from "../../guest/kernel_arguments.ts";
import { bootScript } from "./guest_scripts.ts";

export interface Files {
  readonly program: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly tools: string;
  /** A block device that takes O_DIRECT. */
  readonly data: string;
  readonly tap: string;
}

export type Subject = "disk" | "tap" | "vhost";
export type Argv = readonly [string, ...string[]];

const memory = "256M";

function guestWords(files: Files, subject: Subject): string[] {
  const script = bootScript(subject === "disk" ? "measure-disk" : "measure-network");
  const append = kernelArguments({ script, more: "root=none" });
  return [
    ...["-m", memory, "-kernel", files.kernel, "-initrd", files.initrd],
    ...["-append", append, "-serial", "stdio"],
  ];
}

export function stratovirt(files: Files, subject: Subject): Argv {
  const disk = (id: string, path: string, more: string) => [
    ...["-drive", `id=${id},file=${path},${more}`],
    ...["-device", `virtio-blk-device,drive=${id},id=disk-${id},serial=${id},iothread=io`],
  ];
  const vhost = subject === "vhost" ? ",vhost=on" : "";
  return [
    files.program,
    ...["-machine", "microvm", "-object", "iothread,id=io", ...guestWords(files, subject)],
    ...disk("tools", files.tools, "readonly=on,direct=off"),
    ...(subject === "disk"
      ? disk("data", files.data, "direct=on,aio=io_uring")
      : [
          ...["-netdev", `tap,id=net,ifname=${files.tap}${vhost}`],
          ...["-device", "virtio-net-device,netdev=net,id=card"],
        ]),
  ];
}

export function qemu(files: Files, subject: Subject): Argv {
  const disk = (id: string, driver: string, path: string, more: string) => [
    ...["-blockdev", `driver=${driver},node-name=${id},filename=${path},${more}`],
    ...["-device", `virtio-blk-device,drive=${id},serial=${id},iothread=io`],
  ];
  const vhost = subject === "vhost" ? "on" : "off";
  return [
    "qemu-system-x86_64",
    ...["-M", "microvm,rtc=on", "-global", "virtio-mmio.force-legacy=false"],
    ...["-accel", "kvm", "-cpu", "host", "-nodefaults", "-no-user-config", "-display", "none"],
    ...["-no-reboot", "-object", "iothread,id=io", ...guestWords(files, subject)],
    ...disk("tools", "file", files.tools, "read-only=on"),
    ...(subject === "disk"
      ? disk("data", "host_device", files.data, "cache.direct=on,aio=io_uring")
      : [
          "-netdev",
          `tap,id=net,ifname=${files.tap},script=no,downscript=no,vhost=${vhost}`,
          ...["-device", "virtio-net-device,netdev=net"],
        ]),
  ];
}
