// Kernel modules for an initial RAM disk: what a module needs, in load order, without debug
// sections.

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { runCommand } from "./command.ts";
import type { ArchiveEntry } from "./cpio.ts";
import type { DebianKernel } from "./kernel.ts";
import { cachePath } from "./paths.ts";
import { publish } from "./publish.ts";

export interface KernelModule {
  name: string;
  /** Path inside the modules folder, as modules.dep has it. */
  path: string;
  needs: string[];
}

/**
 * `names` with everything they need, needed ones first. A name built into the kernel is left out.
 */
export function resolveModules(kernel: DebianKernel, names: string[]): KernelModule[] {
  const known = readDependencies(kernel);
  const order = new Map<string, KernelModule>();
  const visit = (name: string): void => {
    const module = known.get(moduleName(name));
    if (module === undefined || order.has(module.name)) return;
    for (const need of module.needs) visit(need);
    order.set(module.name, module);
  };
  for (const name of names) visit(name);
  return [...order.values()];
}

/** The lines of modules.alias that lead to `modules`. */
export function aliasesOf(kernel: DebianKernel, modules: KernelModule[]): string {
  const names = new Set(modules.map((module) => module.name));
  const lines = readFileSync(join(kernel.modules, "modules.alias"), "utf8").split("\n");
  return lines.filter((line) => names.has(line.split(" ")[2] ?? "")).join("\n");
}

function readDependencies(kernel: DebianKernel): Map<string, KernelModule> {
  const known = new Map<string, KernelModule>();
  for (const line of readFileSync(join(kernel.modules, "modules.dep"), "utf8").split("\n")) {
    const [path, rest] = line.split(":");
    if (path === undefined || rest === undefined) continue;
    const needs = rest.trim().split(" ").filter(Boolean).map(moduleName);
    // modules.dep lists the nearest need first; loading goes the other way round
    known.set(moduleName(path), { name: moduleName(path), path, needs: needs.reverse() });
  }
  return known;
}

function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.xz|\.zst|\.gz)?$/, "")
    .replaceAll("-", "_");
}

/**
 * The module as a file of the archive at `folder`/name.ko, stripped of what only debuggers read.
 */
export async function moduleEntry(
  kernel: DebianKernel,
  module: KernelModule,
  folder: string,
): Promise<ArchiveEntry> {
  const cached = join(cachePath("modules", kernel.release), `${module.name}.ko`);
  await publish(cached, async (temporary) => {
    const source = join(kernel.modules, module.path);
    const packed = `${temporary}.ko`;
    await Bun.write(packed, await unpackModule(source));
    // without its debug sections the module's signature is gone too, which saves checking it
    await runCommand(["strip", "--strip-debug", "-o", temporary, packed]);
    await Bun.file(packed).delete();
  });
  const bytes = await Bun.file(cached).bytes();
  return { kind: "file", path: `${folder}/${module.name}.ko`, bytes, executable: false };
}

async function unpackModule(path: string): Promise<Uint8Array> {
  if (path.endsWith(".xz")) return runCommand(["xz", "-dc", path]);
  return Bun.file(path).bytes();
}
