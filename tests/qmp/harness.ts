// One server on a unix socket of its own for each test.

import { afterEach, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QmpServer } from "../../src/qmp/server.ts";
import { serveQmp } from "../../src/qmp/server.ts";
import { Client } from "./client.ts";
import { FakeMachine } from "./fake_machine.ts";

export interface Harness {
  folder: string;
  path: string;
  machine: FakeMachine;
  server: QmpServer;
  /** A client that has read the greeting. */
  greeted(): Promise<Client>;
}

/** Fills in the result before each test of the file. */
export function withServer(): Harness {
  const harness = {
    greeted: async () => {
      const client = await Client.connect({ unix: harness.path });
      await client.next();
      return client;
    },
  } as Harness;
  beforeEach(async () => {
    harness.folder = mkdtempSync(join(tmpdir(), "qmp-"));
    harness.path = join(harness.folder, "qmp.sock");
    harness.machine = new FakeMachine();
    const endpoint = { transport: "unix", path: harness.path } as const;
    harness.server = await serveQmp(endpoint, harness.machine, "0.1.0");
  });
  afterEach(() => {
    harness.server.close();
    harness.machine.descriptors.closeAll();
    rmSync(harness.folder, { recursive: true });
  });
  return harness;
}
