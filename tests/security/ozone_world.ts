// What the tests of ozone share: the probe under a name of its own, runs of the launcher, and a
// look at what is left on the host.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { checkout } from "../../scripts/lib/paths.ts";
import { staticProgram } from "../../scripts/lib/zig.ts";
import { controlMounts } from "../../src/ozone/control_groups.ts";
import { readMounts } from "../../src/ozone/mount_table.ts";
import { jailsFolder } from "../../src/ozone/plan.ts";

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Waits until `condition` holds; the test's own time limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(5);
}

export class World {
  readonly folder = mkdtempSync(join(tmpdir(), "ozone-test-"));
  /** Base name of the probe, so that no other jail shares its folders. */
  readonly base = `probe_${process.pid}`;
  readonly program = join(this.folder, this.base);
  readonly file = join(this.folder, "disk");
  readonly sourceFolder = join(this.folder, "share");

  async prepare(): Promise<void> {
    const probe = await staticProgram("jail_probe", [join(import.meta.dir, "jail_probe.zig")]);
    copyFileSync(probe, this.program);
    writeFileSync(this.file, "content");
    mkdirSync(this.sourceFolder);
    writeFileSync(join(this.sourceFolder, "inner"), "inner content");
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  rootOf(name: string): string {
    return `${jailsFolder}/${this.base}/${name}`;
  }

  /** Options that every launch needs. */
  options(name: string): string[] {
    return ["-name", name, "-exec_file", this.program, "-uid", "1234", "-gid", "2345"];
  }

  /** Starts a command line with the launcher's source at its end. */
  spawn(argv: readonly string[], environment: Record<string, string> = {}) {
    return Bun.spawn([...argv], {
      cwd: this.folder,
      env: { ...process.env, ...environment },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  start(argv: readonly string[], environment: Record<string, string> = {}) {
    const source = join(checkout, "src/ozone.ts");
    return this.spawn([process.execPath, source, ...argv], environment);
  }

  async finish(child: ReturnType<World["spawn"]>): Promise<Run> {
    const [out, error, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out, error };
  }

  /** Starts the probe in a jail and waits until it waits; `pid` is the probe's. */
  async startWaiting(argv: readonly string[]) {
    const child = this.start([...argv, "--", "wait"]);
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes("waiting")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the probe ended: ${await new Response(child.stderr).text()}`);
      text += decoder.decode(value);
    }
    const path = `/proc/${child.pid}/task/${child.pid}/children`;
    return { child, pid: Number(readFileSync(path, "latin1")) };
  }

  run(argv: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
    return this.finish(this.start(argv, environment));
  }

  /** The launcher as a shell command would start it, after `setup` in namespaces of its own. */
  runIn(unshare: readonly string[], setup: string, argv: readonly string[]): Promise<Run> {
    const script = `${setup} && exec "$@"`;
    const launcher = [process.execPath, join(checkout, "src/ozone.ts"), ...argv];
    const shell = ["unshare", ...unshare, "sh", "-c", script, "sh", ...launcher];
    return this.finish(this.spawn(shell));
  }

  /** `how` is fail or kill; `step` is the index of a plan's step. */
  runWithFault(how: "fail" | "kill", step: number, argv: readonly string[]): Promise<Run> {
    const source = join(import.meta.dir, "ozone_fault.ts");
    return this.finish(this.spawn([process.execPath, source, how, String(step), ...argv]));
  }

  clean(name: string): Promise<Run> {
    return this.run(["-name", name, "-exec_file", this.program, "-clean-resource"]);
  }

  /** Folders of the probe that exist: none after a cleaning. */
  leftovers(): string[] {
    const mounts = readMounts();
    const groups = controlMounts(mounts).map((mount) => `${mount}/${this.base}`);
    const bound = mounts.map((mount) => mount.target).filter((path) => path.includes(this.base));
    return [...[`${jailsFolder}/${this.base}`, ...groups].filter(existsSync), ...bound];
  }
}
