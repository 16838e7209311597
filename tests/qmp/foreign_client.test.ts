// QMP as a client sees it that nobody here wrote: qemu.qmp from PyPI, installed into the cache.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { withServer } from "./harness.ts";

const root = join(import.meta.dir, "..", "..");
const packages = join(root, ".cache", "python");

function install(): boolean {
  if (existsSync(join(packages, "qemu", "qmp"))) return true;
  const pip = ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages];
  const result = Bun.spawnSync([...pip, "qemu.qmp==0.0.6"], { timeout: 30_000, stderr: "ignore" });
  return result.success;
}

const isInstalled = install();
if (!isInstalled) console.log("skipped: qemu.qmp 0.0.6 cannot be installed by pip on this host");

const qmp = withServer();

test.skipIf(!isInstalled)(
  "qemu.qmp connects, pauses, resumes, reads events and sends a descriptor",
  async () => {
    const client = Bun.spawn(["python3", join(import.meta.dir, "foreign_client.py"), qmp.path], {
      env: { ...process.env, PYTHONPATH: packages },
      stderr: "pipe",
    });
    const [output, complaint] = await Promise.all([
      new Response(client.stdout).text(),
      new Response(client.stderr).text(),
    ]);
    expect(complaint).toBe("");
    expect(JSON.parse(output)).toEqual({
      before: "running",
      stopped: "STOP",
      paused: "paused",
      resumed: "RESUME",
      error: "CommandNotFound",
      describesQuit: ["command"],
      hasDrive: true,
      origin: "exec",
      closed: {},
      hasQuit: true,
    });
  },
);
