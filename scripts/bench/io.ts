// I/O of a Debian guest: fio on a disk and iperf3 on a tap, moved by this program and by QEMU in
// turns, with the exits that each MiB costs. On the host that can run Linux: this one, or the lab.

import { basename, join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { guestImages } from "../guest/images.ts";
import { hostCanRunLinux, LabError, labRun, labUp } from "../lab/index.ts";
import { runForText } from "../lib/command.ts";
import { checkout } from "../lib/paths.ts";
import { median, table } from "./figures.ts";
import { diskJobs, networkAddress, networkJobs } from "./io/guest_scripts.ts";
import type { Order, Sample } from "./io/inside.ts";
import type { Files, Subject } from "./io/machines.ts";
import { toolsDisk } from "./io/tools_disk.ts";

const folder = "/tmp/stratovirt-bench";
const tap = "svbench";
const device = "/dev/ram0";
const diskKib = 128 * 1024;
const mebi = 1024 * 1024;
const prepareTimeoutMs = 180_000;
const turnTimeoutMs = 200_000;

/** A disk in memory that takes O_DIRECT, a tap, and somebody who answers there. */
const prepare = `
set -e
mkdir -p ${folder}
cp -u --remove-destination "$@" ${folder}
[ -e ${device} ] || modprobe brd rd_nr=1 rd_size=${diskKib}
dd if=/dev/zero of=${device} bs=1M count=${diskKib / 1024} status=none
[ -d /sys/kernel/debug/kvm ] || mount -t debugfs debugfs /sys/kernel/debug
modprobe tun
modprobe vhost_net
[ -e /sys/class/net/${tap} ] || ip tuntap add ${tap} mode tap
ip addr replace ${networkAddress}/24 dev ${tap}
ip link set ${tap} up
pgrep -x iperf3 > /dev/null || iperf3 -s -D
`;

type Run = (argv: string[], timeoutMs: number) => Promise<string>;

const names = ["stratovirt", "qemu"] as const;

/** Each subject in `count` turns of both; a table of medians. */
export async function measureIo(subjects: readonly Subject[], count: number): Promise<string> {
  const { able } = await hostCanRunLinux();
  const run = able ? runHere : runInLab;
  const prepared = async () => {
    if (!able) await labUp();
    return copyThere(run);
  };
  let files = await prepared();
  const rows = [["", "stratovirt", "qemu", "ratio (goal 1.0)", "exits a MiB", "qemu's"]];
  for (const subject of subjects) {
    const samples: Record<Order["name"], Sample[]> = { stratovirt: [], qemu: [] };
    for (let turn = 0; turn < count; turn += 1) {
      for (const name of names) {
        let measured = await measureTurn(run, { files, subject, name });
        if (measured === undefined) {
          files = await prepared();
          measured = (await measureTurn(run, { files, subject, name })) ?? [];
        }
        samples[name].push(...measured);
      }
    }
    rows.push(...rowsOf(subject, samples));
  }
  return table(rows);
}

/** Undefined, and said so, when the lab or the guest was lost before the last job's end. */
async function measureTurn(run: Run, order: Order): Promise<Sample[] | undefined> {
  const program = join(checkout, "scripts/bench/io/inside.ts");
  try {
    const argv = [process.execPath, program, JSON.stringify(order)];
    const samples = JSON.parse(await run(argv, turnTimeoutMs)) as Sample[];
    const { length } = jobsOf(order.subject);
    if (samples.length === length) return samples;
    console.log(`${order.name} ended ${samples.length} of ${length} jobs (${order.subject})`);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    console.log(`the lab was lost under ${order.name} (${order.subject}): ${error.message}`);
  }
  return undefined;
}

function jobsOf(subject: Subject): readonly { readonly name: string }[] {
  return subject === "disk" ? diskJobs : networkJobs;
}

async function copyThere(run: Run): Promise<Files> {
  const images = await guestImages();
  const program = join(checkout, "dist/stratovirt");
  const tools = await toolsDisk();
  const sources = [program, images.kernel, images.initrd, tools];
  await run(["sh", "-c", prepare, "sh", ...sources], prepareTimeoutMs);
  const there = (path: string) => join(folder, basename(path));
  return {
    program: there(program),
    kernel: there(images.kernel),
    initrd: there(images.initrd),
    tools: there(tools),
    data: device,
    tap,
  };
}

async function runInLab(argv: string[], timeoutMs: number): Promise<string> {
  const { code, stdout, stderr } = await labRun(argv, { timeoutMs, cwd: "/" });
  if (code === 0) return stdout;
  throw new UserError(`a turn of the I/O bench ended with ${code}: ${stderr.trim()}`);
}

function runHere([program = "", ...words]: string[], timeoutMs: number): Promise<string> {
  return runForText([program, ...words], { timeoutMs });
}

function rowsOf(subject: Subject, samples: Record<Order["name"], Sample[]>): string[][] {
  return jobsOf(subject).map(({ name }, index) => {
    const of = (who: Order["name"], value: (sample: Sample) => number) =>
      median(samples[who].filter((sample) => sample.index === index).map(value));
    const rate = (sample: Sample) => sample.perSecond;
    const exits = (sample: Sample) => sample.exits / (sample.bytes / mebi);
    const [own, other] = [of("stratovirt", rate), of("qemu", rate)];
    return [
      subject === "disk" ? name : `${subject}: ${name}`,
      speed(own, subject, index),
      speed(other, subject, index),
      (own / other).toFixed(2),
      of("stratovirt", exits).toFixed(1),
      of("qemu", exits).toFixed(1),
    ];
  });
}

function speed(perSecond: number, subject: Subject, index: number): string {
  const isPackets = subject !== "disk" && networkJobs[index]?.unit === "packets";
  if (isPackets) return `${perSecond.toFixed(0)} packets/s`;
  return `${(perSecond / mebi).toFixed(2)} MiB/s`;
}
