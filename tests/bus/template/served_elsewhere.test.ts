// Devices that the host's kernel or another process serves: a machine with one is not saved, and
// says so before anything happens.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { CONSTANTS, ModelKind, NetParamsLayout } from "../../../src/core/abi.gen.ts";
import type { NewDevice } from "../../../src/core/core.ts";
import { encode } from "../../../src/core/struct.ts";
import { Saving } from "../../../src/machine/snapshot/saving.ts";
import { TemplateMachine } from "../../support/template_machine.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";

const net = (flags: number): NewDevice => ({
  model: ModelKind.virtioNet,
  details: encode(NetParamsLayout, {
    fds: new Uint8Array(0),
    vhostFds: new Uint8Array(0),
    vhostFeatures: 0,
    pairCount: 1,
    queueSize: 256,
    flags,
    mac: new Uint8Array(6),
  }),
});

test.each([
  ["vhost-net", net(CONSTANTS.netVhost | CONSTANTS.netOffload)],
  ["vhost-user", { model: ModelKind.vhostUser }],
])("a machine with %s is not saved", async (_, device) => {
  using folder = new TemporaryFolder();
  using running = await TemplateMachine.start("-device virtio-balloon-device,id=d");
  const descriptions = running.assembly.descriptions.map((each) => ({ ...each, device }));
  const path = folder.file("t");
  const options = { config: running.config, folder: path };
  expect(() => new Saving({ ...options, machine: { ...running.assembly, descriptions } })).toThrow(
    "The device 'd' cannot be saved: the host's kernel or another process serves it; start the " +
      "machine without vhost, or without the device.",
  );
  expect(existsSync(path)).toBe(false);
});
