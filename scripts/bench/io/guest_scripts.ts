// What runs in the guest: fio's jobs on the data disk and iperf3's against the host. A line on the
// console before and after each lets the host count what happened in between.

export interface DiskJob {
  readonly name: string;
  readonly pattern: string;
  readonly size: string;
  readonly depth: number;
}

export const diskJobs: readonly DiskJob[] = [
  { name: "4k read, depth 1", pattern: "randread", size: "4k", depth: 1 },
  { name: "4k read, depth 32", pattern: "randread", size: "4k", depth: 32 },
  { name: "4k write, depth 1", pattern: "randwrite", size: "4k", depth: 1 },
  { name: "4k write, depth 32", pattern: "randwrite", size: "4k", depth: 32 },
  { name: "1M read", pattern: "read", size: "1M", depth: 4 },
  { name: "1M write", pattern: "write", size: "1M", depth: 4 },
];

export interface NetworkJob {
  readonly name: string;
  /** Which counter of the tap moves: frames that the guest sends arrive at the host. */
  readonly direction: "sent" | "received";
  readonly unit: "bytes" | "packets";
  readonly words: string;
}

export const networkAddress = "10.9.7.1";
const guestAddress = "10.9.7.2";

export const networkJobs: readonly NetworkJob[] = [
  { name: "TCP from the guest", direction: "sent", unit: "bytes", words: "" },
  { name: "TCP to the guest", direction: "received", unit: "bytes", words: "-R" },
  { name: "64-byte UDP from it", direction: "sent", unit: "packets", words: "-u -b 0 -l 64" },
  { name: "64-byte UDP to it", direction: "received", unit: "packets", words: "-u -b 0 -l 64 -R" },
];

/** How long each job runs. */
const jobSeconds = 5;

/** Finds the disk with the tools, whatever its letter is, and runs one of its scripts there. */
export function bootScript(name: "measure-disk" | "measure-network"): string {
  return `for d in /sys/block/vd*; do
  read -r serial < $d/serial
  [ "$serial" = tools ] && mount -o ro /dev/\${d##*/} /mnt
  [ "$serial" = data ] && ln -s /dev/\${d##*/} /tmp/data
done
for m in proc sys dev tmp; do mount --bind /$m /mnt/$m; done
chroot /mnt /bin/busybox sh /${name}
`;
}

const prepare = `/bin/busybox mkdir -p /tmp/bin
/bin/busybox --install -s /tmp/bin
export PATH=/tmp/bin
`;

function marked(index: number, command: string, result: string): string {
  return `echo "job ${index} begins"\n${command}\necho "job ${index} ends"\n${result}`;
}

/** fio's terse output has KiB and KiB a second of reads and of writes there. */
const fioFields = "6,7,47,48";

export const diskScript = `${prepare}${diskJobs
  .map(({ pattern, size, depth }, index) =>
    marked(
      index,
      [
        "/usr/bin/fio --name=job --filename=/tmp/data --direct=1 --ioengine=libaio --thread",
        `--rw=${pattern} --bs=${size} --iodepth=${depth} --time_based --runtime=${jobSeconds}`,
        "--randrepeat=1 --norandommap --gtod_reduce=1 --output=/tmp/result --minimal",
      ].join(" "),
      `echo "job ${index} gave $(cut -d ';' -f ${fioFields} /tmp/result)"\n`,
    ),
  )
  .join("")}`;

export const networkScript = `${prepare}busybox ip link set eth0 up
busybox ip addr add ${guestAddress}/24 dev eth0
${networkJobs
  .map(({ words }, index) =>
    marked(
      index,
      `/usr/bin/iperf3 -c ${networkAddress} -t ${jobSeconds} ${words} > /tmp/result`,
      "",
    ),
  )
  .join("")}`;
