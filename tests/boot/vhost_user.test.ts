// A Linux guest with a disk and a folder that other processes serve: a file system that is made,
// written and read again, and files that pass both ways.

import { beforeAll, describe, expect, test } from "bun:test";
import { Guest, type Outcome } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { Server } from "./host_command.ts";
import { allBootsAsked } from "./seldom.ts";

const SUM = "[0-9a-f]{32}";

const place = "addr.type=unix,addr.path=disk.sock";

/** Serves a disk and a folder, and ends when its input does. */
const serve = (folder: string) => `
mkdir -p ${folder}/shared && cd ${folder}
truncate -s 64M disk.img
head -c 1000000 /dev/urandom > shared/file
qemu-storage-daemon --blockdev driver=file,node-name=disk,filename=disk.img \\
  --export type=vhost-user-blk,id=e,node-name=disk,writable=on,num-queues=2,${place} &
/usr/lib/qemu/virtiofsd --socket-path=folder.sock -o source=${folder}/shared,sandbox=chroot -f &
until [ -S disk.sock ] && [ -S folder.sock ]; do sleep 0.2; done
echo "file $(md5sum < shared/file)"
read -r line
echo "back $(md5sum < shared/back)"
kill %1 %2
`;

const script = `
mke2fs -q /dev/vda > /dev/null
modprobe -q ext4
mkdir -p /mnt/d /mnt/f
mount -t ext2 /dev/vda /mnt/d
head -c 2000000 /dev/urandom > /mnt/d/file
echo "written $(md5sum < /mnt/d/file)"
umount /mnt/d
echo 3 > /proc/sys/vm/drop_caches
mount -t ext2 /dev/vda /mnt/d
echo "read $(md5sum < /mnt/d/file)"
mount -t virtiofs myfs /mnt/f
echo "file $(md5sum < /mnt/f/file)"
head -c 200000 /dev/urandom > /mnt/f/back
echo "back $(md5sum < /mnt/f/back)"
umount /mnt/f
umount /mnt/d
`;

describe.skipIf(!allBootsAsked)("a guest of other processes", () => {
  let outcome: Outcome;
  let served = "";

  beforeAll(async () => {
    const host = await guestHost();
    const folder = host.pathOf(`served-${process.pid}`);
    const server = await Server.start(serve(folder));
    outcome = await Guest.run({
      script,
      disk: "none",
      machine: "microvm,mem-share=on",
      cpuCount: 2,
      more: [
        ...["-chardev", `socket,id=disk,path=${folder}/disk.sock`],
        ...["-device", "vhost-user-blk-device,id=disk,chardev=disk"],
        ...["-chardev", `socket,id=folder,path=${folder}/folder.sock`],
        ...["-device", "vhost-user-fs-device,id=folder,chardev=folder,tag=myfs"],
      ],
    });
    await server.stop();
    served = server.printed;
  }, prepareTimeoutMs);

  const sumOf = (what: string, words: string) =>
    new RegExp(`^${what} (${SUM})`, "m").exec(words)?.[1] ?? `no sum of ${what}`;

  test("reads from its disk what it wrote there", () => {
    expect(sumOf("read", outcome.console)).toBe(sumOf("written", outcome.console));
  });

  test("shares files with its host, both ways", () => {
    expect(sumOf("file", outcome.console)).toBe(sumOf("file", served));
    expect(sumOf("back", outcome.console)).toBe(sumOf("back", served));
  });
});
