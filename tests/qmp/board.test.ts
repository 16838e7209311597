// What the commands about the board and this build refuse, and what clients ask beforehand.

import { expect, test } from "bun:test";
import { withServer } from "./harness.ts";

const qmp = withServer();

const refused = [
  [
    "device-list-properties",
    { typename: "virtio-blk-pcie" },
    "DeviceNotFound",
    "The driver 'virtio-blk-pcie' is unknown; qom-list-types lists them.",
  ],
  [
    "query-command-line-options",
    { option: "S" },
    "GenericError",
    "There is no option 'S' that has keys.",
  ],
  [
    "query-mem-gpa",
    { gpa: "fffffffff0" },
    "GenericError",
    "There is no memory at the guest address 0xfffffffff0.",
  ],
  [
    "human-monitor-command",
    { "command-line": "toString" },
    "GenericError",
    "Unsupported command: 'toString'. Known: info snapshots.",
  ],
  [
    "qom-list-types",
    { implement: "device" },
    "GenericError",
    "Unknown argument 'implement' of 'qom-list-types'. Did you mean 'implements'?",
  ],
] as const;

test.each(refused)("%s %j is refused", async (name, args, errorClass, desc) => {
  const client = await qmp.greeted();
  expect(await client.ask(name, { arguments: args })).toEqual({
    error: { class: errorClass, desc },
  });
});

test.each(["zz", "-1", "0x", "", "1 "])("'%s' is no guest address", async (gpa) => {
  const client = await qmp.greeted();
  const { error } = await client.ask("query-mem-gpa", { arguments: { gpa } });
  expect(error?.desc).toBe(
    `Bad argument 'gpa' of 'query-mem-gpa': expected a hexadecimal number, but got "${gpa}".`,
  );
});

test("a guest address may have 0x, and the value is in upper case", async () => {
  const client = await qmp.greeted();
  const reply = await client.ask("query-mem-gpa", { arguments: { gpa: "0x1f000" } });
  expect(reply).toEqual({ return: "A3A2A1A0" });
});

test("query-mem reaches the machine's log", async () => {
  const client = await qmp.greeted();
  expect(await client.ask("query-mem")).toEqual({ return: {} });
  expect(qmp.machine.calls).toEqual(["logMemory"]);
});

test("libvirt finds the keys of a drive that it looks for", async () => {
  const client = await qmp.greeted();
  const { return: options } = await client.ask("query-command-line-options");
  const [drive] = (options as { option: string; parameters: object[] }[]).filter(
    ({ option }) => option === "drive",
  );
  const wanted = ["discard", "detect-zeroes"].map((name) => expect.objectContaining({ name }));
  expect(drive?.parameters).toEqual(expect.arrayContaining(wanted));
});

test("only what this build has is listed", async () => {
  const client = await qmp.greeted();
  const { return: types } = await client.ask("qom-list-types");
  const names = (types as { name: string }[]).map(({ name }) => name);
  expect(names).toContain("iothread");
  expect(names).toContain("virtio-blk-device");
  expect(names).not.toContain("virtio-gpu-pci");
});
