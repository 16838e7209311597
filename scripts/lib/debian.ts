// Debian packages: downloaded and unpacked into the cache, never installed.

import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { runCommand, runForText, tryCommand } from "./command.ts";
import { cachePath } from "./paths.ts";
import { publish } from "./publish.ts";

export interface UnpackedPackage {
  name: string;
  version: string;
  folder: string;
}

/**
 * The package that a meta package stands for (linux-image-amd64 is linux-image-6.1.0-56-amd64),
 * unpacked. What was resolved once stays, so that builds do not change by themselves; `refresh`
 * looks again.
 */
export async function unpackedPackage(meta: string, refresh = false): Promise<UnpackedPackage> {
  const note = Bun.file(join(cachePath("debian"), `${meta}.json`));
  if (!refresh && (await note.exists())) {
    const known = (await note.json()) as UnpackedPackage;
    if (existsSync(known.folder)) return known;
  }
  const { name, version } = await resolve(meta);
  const path = join(cachePath("debian"), `${name}_${version.replaceAll(":", "%3a")}`);
  const folder = await publish(path, (temporary) => download(name, version, temporary));
  const unpacked = { name, version, folder };
  await Bun.write(note, `${JSON.stringify(unpacked)}\n`);
  return unpacked;
}

async function resolve(meta: string): Promise<{ name: string; version: string }> {
  let version = await candidate(meta);
  if (version === undefined) {
    await updateLists();
    version = await candidate(meta);
  }
  if (version === undefined) throw new UserError(`apt knows no package ${meta}`);
  const depends = await runForText(["apt-cache", "depends", "--important", meta]);
  const name = /Depends: (linux-image-\d\S*)/.exec(depends)?.[1] ?? meta;
  return { name, version: (await candidate(name)) ?? version };
}

async function candidate(name: string): Promise<string | undefined> {
  const policy = await runForText(["apt-cache", "policy", name]);
  const version = /Candidate: (\S+)/.exec(policy)?.[1];
  return version === "(none)" ? undefined : version;
}

async function updateLists(): Promise<void> {
  const result = await tryCommand(["apt-get", "update", "-qq"], { timeoutMs: 300_000 });
  if (result.code !== 0) {
    throw new UserError(
      `apt's package lists are needed and "apt-get update" failed: ${result.stderr.trim()}`,
    );
  }
}

async function download(name: string, version: string, folder: string): Promise<void> {
  const debs = `${folder}.deb`;
  mkdirSync(debs, { recursive: true });
  try {
    const fetch = ["apt-get", "download", "-qq", `${name}=${version}`] as [string, ...string[]];
    const options = { cwd: debs, timeoutMs: 600_000 };
    const first = await tryCommand(fetch, options);
    if (first.code !== 0) {
      await updateLists(); // old lists name files that the mirror no longer has
      await runCommand(fetch, options);
    }
    const archive = readdirSync(debs).find((file) => file.endsWith(".deb"));
    if (archive === undefined) throw new UserError(`apt-get download brought no ${name}`);
    await runCommand(["dpkg-deb", "-x", join(debs, archive), folder]);
  } finally {
    rmSync(debs, { recursive: true, force: true });
  }
}
