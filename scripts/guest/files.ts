// The small system that the guest's initial RAM disk and its root disk share: busybox and a few
// scripts.

import { runForText } from "../lib/command.ts";
import type { ArchiveEntry } from "../lib/cpio.ts";

const inittab = `::sysinit:/etc/rc
::respawn:/sbin/console
::ctrlaltdel:/sbin/reboot
`;

const rc = `#!/bin/sh
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
hostname guest
ip link set lo up
`;

const console = `#!/bin/sh
cd /root
exec cttyhack sh -l
`;

const profile = `export PATH=/bin:/sbin HOME=/root PS1='guest:\\w# '
echo 'This is the guest. To leave: poweroff'
`;

// At once, but with a clean file system: busybox's own way through init waits two seconds.
const leave = (verb: string) => `#!/bin/sh
sync
mount -o remount,ro / 2> /dev/null
exec busybox ${verb} -f
`;

const runScript = `#!/bin/sh
# Runs the script of the kernel command line as process 1, then does what sv.after says.
export PATH=/bin:/sbin HOME=/root
/etc/rc
after=poweroff
read -r words < /proc/cmdline
for word in $words; do
  case $word in
    sv.script=*) script=\${word#sv.script=} ;;
    sv.after=*) after=\${word#sv.after=} ;;
  esac
done
echo "$script" | base64 -d > /run/script
sh /run/script
echo "stratovirt: script ended with $?"
case $after in
  panic) sync && echo c > /proc/sysrq-trigger ;;
  shell) exec /sbin/init ;;
  *) exec "/sbin/$after" ;;
esac
`;

const folders = [
  "bin",
  "sbin",
  "dev",
  "etc",
  "mnt",
  "newroot",
  "proc",
  "root",
  "run",
  "sys",
  "tmp",
];
const replaced = new Set(["sbin/poweroff", "sbin/reboot", "sbin/halt", "bin/busybox"]);

/** The entries, in an order that makes folders first. */
export async function systemFiles(busybox: string): Promise<ArchiveEntry[]> {
  const applets = (await runForText([busybox, "--list-full"])).trim().split("\n");
  const links = applets
    .map((path) => path.replace(/^usr\//, ""))
    .filter((path) => !replaced.has(path) && !path.startsWith("linuxrc"));
  return [
    ...folders.map((path): ArchiveEntry => ({ kind: "folder", path })),
    { kind: "file", path: "bin/busybox", bytes: await Bun.file(busybox).bytes(), executable: true },
    ...links.map((path): ArchiveEntry => ({ kind: "link", path, target: "/bin/busybox" })),
    text("etc/inittab", inittab),
    text("etc/profile", profile),
    text("etc/rc", rc),
    text("sbin/console", console),
    text("sbin/run-script", runScript),
    ...["poweroff", "reboot", "halt"].map((verb) => text(`sbin/${verb}`, leave(verb))),
  ];
}

function text(path: string, content: string): ArchiveEntry {
  return { kind: "file", path, bytes: new TextEncoder().encode(content), executable: true };
}
