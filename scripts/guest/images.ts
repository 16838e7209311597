// The guest that the quickstart, the tests and the bench boot: Debian's cloud kernel, an initial
// RAM disk with the drivers, and an ext4 root disk. Made without root rights, named by the
// content of what they are made from.

import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { runCommand } from "../lib/command.ts";
import { type ArchiveEntry, cpioArchive } from "../lib/cpio.ts";
import { type DebianKernel, debianKernel } from "../lib/kernel.ts";
import { aliasesOf, type KernelModule, moduleEntry, resolveModules } from "../lib/modules.ts";
import { cachePath, contentKey } from "../lib/paths.ts";
import { publish } from "../lib/publish.ts";
import { systemFiles } from "./files.ts";

export interface GuestImages {
  /** The kernel as Debian packs it: a bzImage. */
  kernel: string;
  /** The same kernel as an ELF with a PVH note. */
  vmlinux: string;
  initrd: string;
  /** An ext4 file system, 64 MiB. Copy it before a guest writes to it. */
  disk: string;
  /** Like 6.1.0-56-cloud-amd64. */
  release: string;
}

const diskSize = 64 << 20;
const diskIdentity = "5f7a70b0-5741-4f0e-9a6b-0c1f5d3a2e11";

const drivers = [
  ...["virtio_mmio", "virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng"],
  ...["virtio_balloon", "virtio_scsi", "virtio_gpu", "virtio_input", "virtio_mem", "virtio_pmem"],
  ...["vmw_vsock_virtio_transport", "virtiofs", "fuse", "sd_mod", "sr_mod", "xhci_pci", "usbhid"],
  ...["usb_storage", "nvme", "e1000e", "i6300esb", "pvpanic_mmio", "pvpanic_pci", "ext4", "crc32c"],
];

/** Makes what is missing: some seconds the first time, then a few milliseconds. */
export async function guestImages(options: { refresh?: boolean } = {}): Promise<GuestImages> {
  const busybox = Bun.which("busybox");
  if (busybox === null) {
    throw new UserError("busybox is not installed; the Debian package busybox-static has it");
  }
  const kernel = await debianKernel("linux-image-cloud-amd64", options.refresh);
  const system = await systemFiles(busybox);
  return {
    kernel: kernel.bzImage,
    vmlinux: kernel.vmlinux,
    initrd: await initialRamDisk(kernel, system),
    disk: await rootDisk(system),
    release: kernel.release,
  };
}

async function initialRamDisk(kernel: DebianKernel, system: ArchiveEntry[]): Promise<string> {
  const init = await Bun.file(join(import.meta.dir, "init")).bytes();
  const key = contentKey(kernel.version, init, drivers.join(), cpioArchive(system));
  return publish(join(cachePath("guest"), `initrd-${key}`), async (temporary) => {
    const modules = resolveModules(kernel, drivers);
    const folder = `lib/modules/${kernel.release}`;
    const entries: ArchiveEntry[] = [
      ...system,
      { kind: "character", path: "dev/console", major: 5, minor: 1 },
      { kind: "file", path: "init", bytes: init, executable: true },
      ...["lib", "lib/modules", folder].map((path): ArchiveEntry => ({ kind: "folder", path })),
      file(`${folder}/modules.dep`, modules.map(dependencyLine).join("")),
      file(`${folder}/modules.alias`, `${aliasesOf(kernel, modules)}\n`),
    ];
    for (const module of modules) entries.push(await moduleEntry(kernel, module, folder));
    await Bun.write(temporary, cpioArchive(entries));
  });
}

/** A line of modules.dep: the file, then everything that it needs, the nearest first. */
function dependencyLine(module: KernelModule): string {
  const needs = [...module.needs].reverse().map((name) => ` ${name}.ko`);
  return `${module.name}.ko:${needs.join("")}\n`;
}

function file(path: string, content: string): ArchiveEntry {
  return { kind: "file", path, bytes: new TextEncoder().encode(content), executable: false };
}

async function rootDisk(system: ArchiveEntry[]): Promise<string> {
  const key = contentKey(cpioArchive(system), String(diskSize));
  return publish(join(cachePath("guest"), `disk-${key}.ext4`), async (temporary) => {
    const folder = `${temporary}.files`;
    try {
      unpack(system, folder);
      writeFileSync(temporary, "");
      truncateSync(temporary, diskSize);
      const extended = `root_owner=0:0,hash_seed=${diskIdentity},lazy_itable_init=1`;
      const identity = ["-U", diskIdentity, "-L", "stratovirt", "-m", "0"];
      await runCommand(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-E", extended, ...identity, "-d", folder, temporary],
        { env: { PATH: `${process.env.PATH}:/sbin:/usr/sbin` } },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function unpack(entries: ArchiveEntry[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const entry of entries) {
    const path = join(folder, entry.path);
    switch (entry.kind) {
      case "folder":
        mkdirSync(path);
        break;
      case "file":
        writeFileSync(path, entry.bytes, { mode: entry.executable ? 0o755 : 0o644 });
        break;
      case "link":
        symlinkSync(entry.target, path);
        break;
      case "character":
        throw new UserError(`a root disk made without root rights cannot hold ${entry.path}`);
    }
  }
}
