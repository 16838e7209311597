// Fetches the musl build of Bun from its npm package into the cache and checks it by hash. It is no
// dependency of the project: an ordinary installation would refuse a package for another processor.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Architecture, BUN_VERSION } from "./architecture.ts";
import { run } from "./command.ts";
import { ElfFile } from "./elf.ts";
import { CACHE } from "./paths.ts";
import { hashInputs, makeOnce } from "./stamp.ts";

/** The path of Bun's musl executable for `architecture`; an error names the package. */
export function fetchRuntime(architecture: Architecture): string {
  if (Bun.version !== BUN_VERSION) {
    throw new Error(`The build needs Bun ${BUN_VERSION} and runs on ${Bun.version}.`);
  }
  const folder = join(CACHE, architecture.name, "runtime");
  const path = join(folder, "node_modules", architecture.bunPackage, "bin/bun");
  const specification = `${architecture.bunPackage}@${BUN_VERSION}`;
  const inputs = hashInputs({ files: [], texts: [specification, architecture.bunSha256] });
  mkdirSync(folder, { recursive: true });
  makeOnce(path, inputs, join(folder, "stamp"), () => {
    install(folder, specification, architecture.bunPackage);
    checkHash(path, specification, architecture.bunSha256);
  });
  return path;
}

function install(folder: string, specification: string, name: string): void {
  const manifest = { private: true, dependencies: { [name]: BUN_VERSION } };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const platform = ["--cpu=*", "--os=*", "--libc=*"];
  run([process.execPath, "install", "--no-progress", "--no-save", ...platform], {
    purpose: `fetch the npm package ${specification}; it is needed once, over the network`,
    folder,
  });
}

function checkHash(path: string, specification: string, expected: string): void {
  const actual = existsSync(path)
    ? new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex")
    : "no file";
  if (actual !== expected) {
    throw new Error(`"${path}" of ${specification} has SHA-256 ${actual}, expected ${expected}.`);
  }
}

/** Reads an ELF file whole. */
export function readElf(path: string): ElfFile {
  return new ElfFile(readFileSync(path), path);
}
