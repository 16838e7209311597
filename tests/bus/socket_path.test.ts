// A path where a socket is to be: what a dead process left there goes, all else stays.

import { afterAll, expect, test } from "bun:test";
import { closeSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { unixAddress } from "../../src/backends/socket_address.ts";
import { clearSocketPath } from "../../src/backends/socket_path.ts";
import { listen } from "../../src/core/host_calls.ts";
import { BusMachine } from "../support/bus_machine.ts";
import { SocketClient } from "../support/socket_client.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const folder = new TemporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function clear(machine: BusMachine, name: string): void {
  const path = folder.file(name);
  clearSocketPath(machine.core, path, `The socket '${path}'`);
}

test("a path where nothing is stays so", () => {
  using machine = new BusMachine();
  clear(machine, "nothing");
  expect(existsSync(folder.file("nothing"))).toBe(false);
});

test("the socket of a process that is gone is removed", () => {
  using machine = new BusMachine();
  closeSync(listen(machine.core, unixAddress(folder.file("stale"))));
  expect(existsSync(folder.file("stale"))).toBe(true);
  clear(machine, "stale");
  expect(existsSync(folder.file("stale"))).toBe(false);
});

test("a socket in use is refused, and its owner does not notice", async () => {
  using machine = new BusMachine();
  const path = folder.file("live");
  let connections = 0;
  const open = (): void => {
    connections += 1;
  };
  const server = Bun.listen({ unix: path, socket: { open, data() {} } });
  expect(() => clear(machine, "live")).toThrow(
    `The socket '${path}' is in use by another process; choose another.`,
  );
  const client = await SocketClient.connect(path);
  server.stop(true);
  await client.close();
  expect(connections).toBe(1);
});

test("a file or a link is not ours to remove", () => {
  using machine = new BusMachine();
  writeFileSync(folder.file("file"), "precious");
  symlinkSync("elsewhere", folder.file("link"));
  for (const name of ["file", "link"]) {
    expect(() => clear(machine, name)).toThrow("exists and is no socket; choose another path.");
  }
  expect(readFileSync(folder.file("file"), "latin1")).toBe("precious");
});
