// A template and a command line of another machine: one sentence says what differs. What is the
// host's alone may differ.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { messageOf, UserError } from "../../../src/errors.ts";
import { checkHost } from "../../../src/machine/snapshot/fit.ts";
import { hostOf } from "../../../src/machine/snapshot/incoming.ts";
import { openTemplate } from "../../../src/machine/snapshot/template.ts";
import { makeTemplate, tryTemplate } from "../../support/template_machine.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";

const folder = new TemporaryFolder();
const template = folder.file("t");
const disks = ["a", "b", "small"].map((name) => folder.file(name)) as [string, string, string];

const drive = (file: string, more = "") =>
  `-drive id=dr,file=${file},direct=off${more} -device virtio-blk-device,drive=dr,id=disk`;
const rng = "-object rng-random,id=r,filename=/dev/urandom -device virtio-rng-device,rng=r,id=rng";
const balloon = "-device virtio-balloon-device,id=balloon,free-page-reporting=on";
const serial = `-serial file,path=${folder.file("serial")}`;
const login = `-chardev file,id=c,path=${folder.file("login")} -device virtconsole,chardev=c`;
const ports = `-device virtio-serial-device,id=ports ${login}`;
const all = [drive(disks[0]), rng, balloon, ports, serial] as const;

beforeAll(async () => {
  for (const disk of disks) writeFileSync(disk, "");
  truncateSync(disks[0], 2 ** 20);
  truncateSync(disks[1], 2 ** 20);
  truncateSync(disks[2], 2 ** 19);
  await makeTemplate(template, all.join(" "));
});
afterAll(() => folder[Symbol.dispose]());

function refusal(act: () => void): string {
  try {
    act();
    return "accepted";
  } catch (error) {
    return error instanceof UserError ? messageOf(error) : `no UserError: ${messageOf(error)}`;
  }
}

const tried = (line: string) => refusal(() => tryTemplate(`${line} -incoming file:${template}`));
const has = `The template '${template}' has`;

const DIFFERENCES: [string, string, string][] = [
  ["more memory", `-m 256M ${all.join(" ")}`, `${has} 128M of memory, not 256M; use -m 128M.`],
  ["more vCPUs", `-smp 2 ${all.join(" ")}`, `${has} one vCPU, not 2; use -smp 1.`],
  [
    "a timer",
    `-machine microvm,accel=test,pit=on ${all.join(" ")}`,
    `${has} no timer (PIT); use -machine pit=off.`,
  ],
  [
    "no empty slots",
    `-machine microvm,accel=test,replaceable=off ${all.join(" ")}`,
    `${has} empty slots; use -machine replaceable=on.`,
  ],
  [
    "no serial port",
    `${drive(disks[0])} ${rng} ${balloon} ${ports}`,
    `${has} a serial port; add -serial.`,
  ],
  [
    "a missing device",
    `${rng} ${balloon} ${ports} ${serial}`,
    `${has} the device 'disk' (virtio-blk-device); add -device virtio-blk-device,id=disk.`,
  ],
  [
    "a device too many",
    `${all.join(" ")} -device virtio-rng-device,rng=r,id=more`,
    `The device 'more' is not in the template '${template}', which has 'disk', 'rng', ` +
      "'balloon', 'ports'; leave it out.",
  ],
  [
    "another driver",
    `${drive(disks[0])} ${rng} -device virtio-rng-device,rng=r,id=balloon ${ports} ${serial}`,
    `The device 'balloon' is of the driver virtio-rng-device, but in the template '${template}' ` +
      "of virtio-balloon-device; use that one.",
  ],
  [
    "another order",
    `${drive(disks[0])} ${balloon} ${rng} ${ports} ${serial}`,
    `The device 'rng' lies elsewhere than in the template '${template}'; give the devices in ` +
      "its order: 'disk', 'rng', 'balloon', 'ports'.",
  ],
  [
    "a smaller disk",
    `${drive(disks[2])} ${rng} ${balloon} ${ports} ${serial}`,
    `The device 'disk' has size=524288, but size=1048576 in the template '${template}'; make it ` +
      "the same.",
  ],
  [
    "a disk to read",
    `${drive(disks[0], ",readonly=on")} ${rng} ${balloon} ${ports} ${serial}`,
    `The device 'disk' has readonly=on, but readonly=off in the template '${template}'; make it ` +
      "the same.",
  ],
  [
    "more queues",
    `${drive(disks[0])},num-queues=2 ${rng} ${balloon} ${ports} ${serial}`,
    `The device 'disk' has num-queues=2, but num-queues=1 in the template '${template}'; make it ` +
      "the same.",
  ],
  [
    "less of a balloon",
    `${drive(disks[0])} ${rng} -device virtio-balloon-device,id=balloon ${ports} ${serial}`,
    "The device 'balloon' has free-page-reporting=off, but free-page-reporting=on in the " +
      `template '${template}'; make it the same.`,
  ],
  [
    "another port",
    all.join(" ").replace("virtconsole", "virtserialport,nr=3"),
    "The device 'ports' has max_ports=4, but max_ports=1 in the template " +
      `'${template}'; make it the same.`,
  ],
  [
    "another name of a port",
    all.join(" ").replace("virtconsole", "virtconsole,id=other"),
    "The device 'ports' has ports=0 console other, but ports=0 console virtconsole0 in the " +
      `template '${template}'; make it the same.`,
  ],
];

test.each(DIFFERENCES)("%s is refused", (_, line, sentence) => {
  expect(tried(line)).toBe(sentence);
});

test.each([
  ["the same machine", all.join(" ")],
  ["another disk of the same size", [drive(disks[1]), ...all.slice(1)].join(" ")],
  [
    "another engine and limit",
    [drive(disks[0], ",aio=io_uring,throttling.iops-total=9"), ...all.slice(1)].join(" "),
  ],
  ["a kernel that is not there", `${all.join(" ")} -kernel /nowhere -append quiet`],
  ["an iothread", `${all.join(" ")} -object iothread,id=io`],
  ["shared memory", `${all.join(" ")} -machine microvm,accel=test,mem-share=on`],
])("%s is accepted", (_, line) => {
  expect(tried(line)).toBe("accepted");
});

test.each([
  [{ arch: "riscv64" }, "was saved on x86_64, but this host is riscv64."],
  [
    { cpuVendor: "GenuineOther" },
    `was saved on a processor of ${hostOf().cpuVendor}, but this host has one of GenuineOther; ` +
      "restore it on one of the same maker.",
  ],
  [{ kvmApi: 11 }, "was saved with version 12 of KVM's API, but this host has 11."],
])("a host with %j is refused", (difference, end) => {
  const opened = openTemplate(template);
  opened.close();
  const sentence = refusal(() => checkHost(opened, { ...hostOf(), ...difference }));
  expect(sentence).toBe(`The template '${template}' ${end}`);
});
