// The program with a back end: what it says of one that is not there, silent, gone and back, under
// its system call filters.

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Client } from "../../qmp/client.ts";
import { BackEnd, whyNo } from "../../support/back_end.ts";
import { Program } from "../../support/program.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { until } from "../../support/until.ts";

const DAEMON = "qemu-storage-daemon";
const withDaemon = test.skipIf(whyNo(DAEMON, "any user") !== undefined);
const TIMEOUT_MS = 30_000;

const wordsOf = (socket: string): string[] => [
  ...["-machine", "microvm,accel=test,mem-share=on", "-m", "128M"],
  ...["-chardev", `socket,id=c,path=${socket}`],
  ...["-device", "vhost-user-blk-device,id=disk,chardev=c"],
];

describe("a back end that is unfit at the start ends it with one sentence", () => {
  const answers: [string, Bun.SocketHandler, string][] = [
    ["silent", { data: () => {} }, "does not answer; see whether it serves another machine"],
    [
      "that hangs up",
      { data: (socket) => void socket.end() },
      "closed the connection; see whether it serves another machine",
    ],
    [
      "that speaks another protocol",
      { open: (socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"), data: () => {} },
      "sent a message that is no answer to what it was asked; use one that speaks vhost-user",
    ],
  ];
  const run = async (_: string, socket: Bun.SocketHandler, words: string) => {
    using folder = new TemporaryFolder();
    const path = folder.file("s");
    using _server = Bun.listen({ unix: path, socket });
    await using program = new Program(wordsOf(path));
    const { code, stderr } = await program.end;
    expect(stderr).toStartWith(`stratovirt: The back end of device 'disk' at '${path}' ${words}`);
    expect(code).toBe(1);
  };
  test.each(answers)("one %s", run, TIMEOUT_MS);

  test("one that is not there", async () => {
    await using program = new Program(wordsOf("/nowhere/disk.sock"));
    expect(await program.end).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "stratovirt: The back end of device 'disk' at '/nowhere/disk.sock' cannot be reached " +
        "(ENOENT); start it before the machine, or correct the path of chardev 'c'.\n",
    });
  });
});

async function run(): Promise<void> {
  using folder = new TemporaryFolder();
  const [image, socket] = [folder.file("disk.img"), folder.file("disk.sock")];
  writeFileSync(image, new Uint8Array(2 ** 20));
  const place = `addr.type=unix,addr.path=${socket}`;
  await using backEnd = new BackEnd(socket, [
    ...[DAEMON, "--blockdev", `driver=file,node-name=disk,filename=${image}`],
    ...["--export", `type=vhost-user-blk,id=e,node-name=disk,writable=on,${place}`],
  ]);
  await backEnd.start();
  const [log, qmp] = [folder.file("log"), folder.file("qmp")];
  const more = ["-D", log, "-qmp", `unix:${qmp},server,nowait`];
  const environment = { STRATOVIRT_LOG_LEVEL: "warn" };
  await using program = new Program([...wordsOf(socket), ...more], { environment });
  await until("the machine", () => existsSync(qmp));
  const client = await Client.connect({ unix: qmp });
  await client.next();
  await client.ask("qmp_capabilities");
  const countOf = (words: string) => readFileSync(log, "utf8").split(words).length - 1;
  const lost = "device 'disk': its back end closed the connection; looking for it again";
  for (const round of [1, 2, 3]) {
    await backEnd.kill();
    await until("the loss in the log", () => countOf(lost) === round);
    expect(await client.ask("query-status")).toMatchObject({ return: { running: true } });
    await backEnd.start();
    await until("the return in the log", () => countOf("its back end is back") === round);
  }
  client.send(JSON.stringify({ execute: "quit" }));
  expect(await program.end).toMatchObject({ code: 0, stderr: "" });
  expect(countOf("\n")).toBe(6);
}

withDaemon("the log tells once when a back end goes and when it is back", run, TIMEOUT_MS);
