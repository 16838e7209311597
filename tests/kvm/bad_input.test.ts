// What a user can get wrong outside the command line: one sentence that names the thing, the value
// and what would be right, exit code 1, nothing left behind.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { bzImageBytes } from "../firmware/kernel_files.ts";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { refusalOf } from "../support/refusal.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, x86 } from "../support/x86.ts";

const GIB = 2 ** 30;
const folder = new TemporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function place(name: string, bytes: Uint8Array): void {
  writeFileSync(folder.file(name), bytes);
}

const aarch64 = new Uint8Array(70_000).fill(0xcc);
aarch64.set(new TextEncoder().encode("ARM\x64"), 0x38);
place("kernel", new Uint8Array(4096).fill(0xf4));
place("nothing", new Uint8Array(0));
place("cut", bzImageBytes().subarray(0, 3000));
place("aarch64", aarch64);
place("small", new Uint8Array(511));
place("large", new Uint8Array(0));
truncateSync(folder.file("large"), GIB);
mkdirSync(folder.file("folder"));
Bun.spawnSync(["mkfifo", folder.file("pipe")]);

/** Words of a command line; `@name` is a file of the test's folder. */
function words(line: string): string[] {
  return line.split(" ").map((word) => word.replace(/@(\w+)/, (_, name) => folder.file(name)));
}

const MACHINE = "-machine microvm -m 128M";
const KERNEL = "-kernel @kernel";
const DISK = "-device virtio-blk-device,drive=d -drive id=d,direct=off,aio=off,file=";
const MODULE_TEST = "-machine microvm,accel=test -m 128M -mod-test";

type Row = readonly [line: string, sentence: RegExp];

const KERNELS: readonly Row[] = [
  ["-kernel @missing", /^The kernel '.*missing' \(-kernel\) does not exist; check the path\.$/],
  ["-kernel @nothing", /^The kernel '.*nothing' is an empty file; a bzImage, a vmlinux or/],
  ["-kernel @cut", /^The kernel '.*cut' is cut off: .*promises 3584 bytes.* has 3000/],
  ["-kernel @aarch64", /^The kernel '.*aarch64' is an aarch64 kernel image; a bzImage/],
  ["-kernel @folder", /^The kernel '.*folder' \(-kernel\) is a folder; a file is needed\.$/],
  ["-kernel /dev/null", /^The kernel '\/dev\/null' \(-kernel\) is a character device; a file is/],
  ["-kernel @pipe", /^The kernel '.*pipe' \(-kernel\) is a pipe; a file is needed\.$/],
  ["-kernel @large", /^The kernel '.*large' has 1024 MiB, more than .*; give more with -m\.$/],
  [`${KERNEL} -initrd @missing`, /^The initrd '.*missing' \(-initrd\) does not exist; check/],
  [`${KERNEL} -initrd @folder`, /^The initrd '.*folder' \(-initrd\) is a folder; a file is/],
  [`${KERNEL} -initrd @nothing`, /^The initrd '.*nothing' is an empty file; a cpio archive/],
  [`${KERNEL} -initrd @large`, /^The initrd '.*large' of 1024 MiB does not fit: .* with -m\.$/],
];

const DISKS: readonly Row[] = [
  ["@missing", /^The disk '.*missing' \(drive 'd'\) does not exist; check the path\.$/],
  ["@folder", /^The disk '.*folder' \(drive 'd'\) is a folder; a file is needed\.$/],
  ["@nothing", /^The disk '.*nothing' of drive 'd' has 0 bytes; a disk has at least one sector/],
  ["@small", /^The disk '.*small' of drive 'd' has 511 bytes; a disk has at least one sector/],
  [
    "/dev/null",
    /^The disk '\/dev\/null' \(drive 'd'\) is a character device; a file or a block device is/,
  ],
  ["@pipe", /^The disk '.*pipe' \(drive 'd'\) is a pipe; a file or a block device is needed\.$/],
  ["@kernel/x", /^The disk '.*kernel\/x' \(drive 'd'\) lies below a file, not a folder; check the/],
];

const OTHERS: readonly Row[] = [
  ["-drve id=d", /^Unknown option '-drve'\. Did you mean '-drive'\?$/],
  ["-drive id=d,fiel=x", /^Unknown key 'fiel' of -drive\. Did you mean 'file'\?$/],
  ["-serial file,path=@missing/x", /^The output file '.*\/missing\/x' \(chardev '.*'\) does not/],
  ["-serial socket,path=@missing/x,server,nowait", /^Chardev .* cannot listen on '.*missing\/x'/],
  ["-serial socket,path=@kernel,server,nowait", /^The socket path '.*kernel' .* is no socket; cho/],
  ["-qmp unix:@missing/x,server,nowait", /^Cannot listen for QMP on '.*\/x': its folder does not/],
  [
    "-qmp unix:@kernel/x,server,nowait",
    /^The QMP socket '.*' cannot be made: it lies below a file/,
  ],
  ["-qmp tcp:192.0.2.1:4444,server,nowait", /^Cannot listen for QMP on .*: this host has no such/],
  ["-qmp unix:@kernel,server,nowait", /^The QMP socket '.*kernel' exists and is no socket; choose/],
  ["-D @missing/x", /^The log file '.*missing\/x' \(-D\) cannot be opened \(ENOENT\); check/],
];

async function expectRefusal(argv: readonly string[], sentence: RegExp, launcher?: string[]) {
  const { lines, ...rest } = await refusalOf(folder, argv, launcher);
  expect(rest).toEqual({ code: 1, stdout: "", leftBehind: [] });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toStartWith("stratovirt: ");
  expect(lines[0]?.slice("stratovirt: ".length)).toMatch(sentence);
}

/** Everything that a machine makes on the host, before it meets what is wrong. */
const MAKES = words("-serial file,path=@console -qmp unix:@qmp,server,nowait");

describe.skipIf(!hasKvm)("refused", () => {
  test.each(KERNELS)("%s", async (line, sentence) => {
    await expectRefusal([...words(`${MACHINE} ${line}`), ...MAKES], sentence);
  });

  test.each(DISKS)("a disk that is %s", async (file, sentence) => {
    const line = `${MACHINE} ${KERNEL} ${DISK}${file}`;
    await expectRefusal([...words(line), ...MAKES], sentence);
  });

  test.each(OTHERS)("%s", async (line, sentence) => {
    await expectRefusal(words(`${MACHINE} ${KERNEL} ${line}`), sentence);
  });

  test("direct I/O where there is none", async () => {
    const disk = "-device virtio-blk-device,drive=d -drive id=d,readonly=on,file=/proc/version";
    const sentence = /^The disk '\/proc\/version' .* does not allow direct I\/O; use direct=off\.$/;
    await expectRefusal(words(`${MACHINE} ${KERNEL} ${disk}`), sentence);
  });

  test("a module test to which nobody listens", async () => {
    const sentence = /^Cannot connect to -mod-test socket '.*missing'/;
    await expectRefusal([...words(`${MODULE_TEST} @missing`), ...MAKES], sentence);
  });
});

describe.skipIf(!hasKvm)("refused beside a running machine", () => {
  const spin = payload(print("!"), forever(x86.pause));

  test("its disk and its console's socket", async () => {
    place("disk", new Uint8Array(4096));
    const disk = words(`${DISK}@disk`);
    const console = words("-chardev socket,id=c,path=@chardev,server,nowait");
    await using machine = new PayloadProgram(spin, [...disk, ...console]);
    await until("the guest's start", () => machine.printed === "!");
    const start = words(`${MACHINE} ${KERNEL}`);
    await expectRefusal(
      [...start, ...disk],
      /^The disk '.*disk' of drive 'd' is in use by another machine; only readers/,
    );
    await expectRefusal(
      [...start, ...console],
      /^The socket path '.*chardev' of chardev 'c' is in use by another process; choose another/,
    );
    expect(existsSync(folder.file("chardev"))).toBe(true);
    await machine.program[Symbol.asyncDispose]();
  });
});

/** Puts another /dev in place, with few devices, and then runs a command. */
const WITHOUT_KVM = [
  "d=$(mktemp -d)",
  "for n in null zero random urandom; do touch $d/$n; mount --bind /dev/$n $d/$n; done",
  "mount --rbind $d /dev",
  'exec "$@"',
].join("; ");

const isRoot = process.getuid?.() === 0;

describe.skipIf(!hasKvm || !isRoot)("refused by the host", () => {
  const line = words(`${MACHINE} ${KERNEL}`);

  test("KVM that is not there", async () => {
    const launcher = ["unshare", "--mount", "sh", "-ec", WITHOUT_KVM, "sh"];
    await expectRefusal(line, /^The host's KVM, '\/dev\/kvm', is not there; load/, launcher);
  });

  test("KVM that is something else", async () => {
    const script = 'mount --bind /dev/null /dev/kvm; exec "$@"';
    const launcher = ["unshare", "--mount", "sh", "-ec", script, "sh"];
    await expectRefusal(line, /opened as \/dev\/kvm is not KVM .*\(ENOTTY\)$/, launcher);
  });

  test("KVM that the user may not open", async () => {
    const script = [
      'mknod "$0/kvm" c 10 232',
      'chmod 0 "$0/kvm"',
      'mount --bind "$0/kvm" /dev/kvm',
      'rm "$0/kvm"',
      'exec setpriv --bounding-set -dac_override,-dac_read_search "$@"',
    ].join("; ");
    const launcher = ["unshare", "--mount", "sh", "-ec", script, folder.path];
    const sentence = /may not be opened by user 0; add the user to the group kvm, or change/;
    await expectRefusal(line, sentence, launcher);
  });
});
