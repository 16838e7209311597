// A disk with what measures I/O inside a guest: this host's fio and iperf3 with the libraries that
// they need, beside the guest's own small system.

import { chmodSync, mkdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../../../src/errors.ts";
import { systemFiles } from "../../guest/files.ts";
import { runCommand, runForText } from "../../lib/command.ts";
import { cachePath, contentKey } from "../../lib/paths.ts";
import { publish } from "../../lib/publish.ts";
import { diskScript, networkScript } from "./guest_scripts.ts";

const diskSize = "192M";

/** An ext4 disk, made once for each version of the tools and scripts. */
export async function toolsDisk(): Promise<string> {
  const busybox = found("busybox", "busybox-static");
  const programs = [found("fio", "fio"), found("iperf3", "iperf3")];
  const files = new Set(programs);
  for (const program of programs) {
    for (const path of await librariesOf(program)) files.add(path);
  }
  const sizes = [...files].map((path) => `${path} ${Bun.file(path).size}`);
  const source = await Bun.file(import.meta.path).text();
  const key = contentKey(source, ...sizes, diskScript, networkScript);
  return publish(join(cachePath("bench"), `tools-${key}.ext4`), async (temporary) => {
    const folder = `${temporary}.files`;
    try {
      await fill(folder, busybox, [...files]);
      const words = ["-q", "-F", "-t", "ext4", "-m", "0", "-d", folder, temporary, diskSize];
      await runCommand(["mke2fs", ...words], {
        env: { PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function found(program: string, debianPackage: string): string {
  const path = Bun.which(program);
  if (path !== null) return path;
  throw new UserError(`${program} is not installed; the Debian package ${debianPackage} has it`);
}

/** Paths as the program asks for them: its libraries and the loader. */
async function librariesOf(program: string): Promise<string[]> {
  const lines = await runForText(["ldd", program]);
  return [...lines.matchAll(/(?:=> |^\s*)(\/\S+)/gm)].map(([, path = ""]) => path);
}

async function fill(folder: string, busybox: string, files: string[]): Promise<void> {
  for (const name of ["proc", "sys", "dev", "tmp"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  for (const entry of await systemFiles(busybox)) {
    if (entry.kind !== "file" || !entry.path.startsWith("bin/")) continue;
    await Bun.write(join(folder, entry.path), entry.bytes);
    chmodSync(join(folder, entry.path), 0o755);
  }
  for (const path of files) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    await runCommand(["cp", realpathSync(path), target]);
  }
  await Bun.write(join(folder, "measure-disk"), diskScript);
  await Bun.write(join(folder, "measure-network"), networkScript);
}
