// A guest on KVM whose memory comes from several places: it sees a file's bytes, its writes are in
// the file, and the seam between two nodes is none.

import { expect, test } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, writePort, x86 } from "../support/x86.ts";

const MIB = 2 ** 20;
const SEAM = 64 * MIB;
const hello = "hello from the host";

test.skipIf(!hasKvm)("a node's file is the guest's memory", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("node");
  writeFileSync(path, `??${hello}`);
  truncateSync(path, SEAM);
  const code = payload(
    x86.movEsi(SEAM + 2),
    x86.movEcx(hello.length),
    x86.movDx(0x3f8),
    x86.outString,
    x86.movEdi(SEAM - 2),
    x86.movEax(0x6463_6261),
    x86.storeEax,
    x86.movEdi(2 * SEAM - 4),
    x86.storeEax,
    writePort(0xcf9, 0x06),
  );
  await using machine = new PayloadProgram(code, [
    ...["-object", "memory-backend-ram,id=a,size=64M,prealloc=on,policy=bind,host-nodes=0"],
    ...["-object", `memory-backend-file,id=b,size=64M,mem-path=${path}`],
    ...["-numa", "node,cpus=0,memdev=a", "-numa", "node,memdev=b"],
  ]);
  expect(await machine.program.end).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(machine.printed).toBe(hello);
  const bytes = readFileSync(path);
  expect(bytes.subarray(0, 4).toString()).toBe("cdhe");
  expect(bytes.subarray(-4).toString()).toBe("abcd");
});

test.skipIf(!hasKvm)(
  "memory that the host cannot give ends the program with one sentence",
  async () => {
    const more = ["-object", "memory-backend-ram,id=a,size=128M,policy=bind,host-nodes=99"];
    await using machine = new PayloadProgram(payload(x86.halt), [
      ...more,
      ...["-numa", "node,memdev=a"],
    ]);
    const { code, stderr } = await machine.program.end;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^stratovirt: The host node 99 of the memory back end 'a' [^\n]+\.\n$/);
  },
);

test.skipIf(!hasKvm)("a memory file that is made shorter is no crash of the host's", async () => {
  const spin = payload(print("!"), forever(x86.pause));
  await using machine = new PayloadProgram(spin, (folder) => ["-mem-path", folder.file("memory")]);
  const client = await machine.connect();
  await until("the guest's start", () => machine.printed === "!");
  truncateSync(machine.folder.file("memory"), SEAM);
  // The kernel is left, and this is not.
  const gpa = (100 * MIB).toString(16);
  client.send(JSON.stringify({ execute: "query-mem-gpa", arguments: { gpa } }));
  const { code, stderr } = await machine.program.end;
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^\S+ \[\d+\]\[\d+\]:ERROR: memory: thread "[^"]+" found nothing at 0x[0-9a-f]+ of [^\n]+\n$/,
  );
});
