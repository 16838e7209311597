// QMP as a client sees it that nobody here wrote: qemu.qmp from PyPI, installed into the cache.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { hasPythonPackage, pythonEnvironment } from "../support/python_package.ts";
import { withServer } from "./harness.ts";

const isInstalled = hasPythonPackage("qemu.qmp==0.0.6", join("qemu", "qmp"));

const qmp = withServer();

test.skipIf(!isInstalled)(
  "qemu.qmp connects, pauses, resumes, reads events and sends a descriptor",
  async () => {
    const client = Bun.spawn(["python3", join(import.meta.dir, "foreign_client.py"), qmp.path], {
      env: pythonEnvironment,
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
