// What the lab's host boots: Debian's kernel as an ELF, and an initial RAM disk with the agent.

import { dirname, join } from "node:path";
import { type ArchiveEntry, cpioArchive } from "../lib/cpio.ts";
import { debianKernel } from "../lib/kernel.ts";
import { moduleEntry, resolveModules } from "../lib/modules.ts";
import { cachePath, contentKey } from "../lib/paths.ts";
import { publish } from "../lib/publish.ts";
import { staticProgram } from "../lib/zig.ts";

export interface HostImages {
  kernel: string;
  initrd: string;
  /** Folder that holds the modules of the kernel, for modprobe in the host. */
  modules: string;
}

/** Loaded before the agent starts; everything else is loaded when something asks for it. */
const bootModules = ["virtio_pci", "virtio_net", "9pnet_virtio", "9p", "overlay", "kvm_amd"];

const agentSources = ["agent.zig", "agent_session.zig", "agent_command.zig", "agent_frames.zig"];

/** Makes what is missing; about 20 s the first time, then a few milliseconds. */
export async function hostImages(): Promise<HostImages> {
  const kernel = await debianKernel("linux-image-amd64");
  const agent = await staticProgram(
    "lab-agent",
    agentSources.map((name) => join(import.meta.dir, name)),
  );
  const init = await Bun.file(join(import.meta.dir, "host_init")).text();
  const key = contentKey(kernel.version, init, agent, bootModules.join());
  const initrd = await publish(join(cachePath("lab"), `initrd-${key}`), async (temporary) => {
    const modules = resolveModules(kernel, bootModules);
    const order = modules.map((module) => `${module.name}.ko\n`).join("");
    const entries: ArchiveEntry[] = [
      ...["bin", "dev", "proc", "sys", "modules"].map(folder),
      await program("bin/busybox", "/bin/busybox"),
      await program("agent", agent),
      text("init", init),
      text("modules/order", order),
    ];
    for (const module of modules) entries.push(await moduleEntry(kernel, module, "modules"));
    await Bun.write(temporary, cpioArchive(entries));
  });
  return { kernel: kernel.vmlinux, initrd, modules: dirname(kernel.modules) };
}

function folder(path: string): ArchiveEntry {
  return { kind: "folder", path };
}

function text(path: string, content: string): ArchiveEntry {
  return { kind: "file", path, bytes: new TextEncoder().encode(content), executable: true };
}

async function program(path: string, source: string): Promise<ArchiveEntry> {
  return { kind: "file", path, bytes: await Bun.file(source).bytes(), executable: true };
}
