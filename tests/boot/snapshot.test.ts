// A Linux guest of two vCPUs is saved into a template, and goes on in another process later: its
// programs run on, its memory is the same, and its date is right.

import { beforeAll, expect, test } from "bun:test";
import { Guest, onceMoreIfLost } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { outputOnHost } from "./host_command.ts";
import { Monitor } from "./monitor.ts";

beforeAll(guestHost, prepareTimeoutMs);

/** So long nobody runs the guest. */
const restSeconds = 10;
const toleranceSeconds = 4;

/** Two programs count; a third tells of them, of memory, disk and date with each line typed. */
const script = `
for n in 1 2; do (i=0; while true; do i=$((i+1)); echo $i > /run/count$n; done) & done
head -c 4000000 /dev/urandom > /run/data
# A counter may be about to write its file anew.
count() { until [ -s /run/count$1 ] && read -r n < /run/count$1; do :; done; echo $n; }
sum() { md5sum < /run/data | cut -c 1-32; }
while read -r line; do
echo "$line: $(date +%s) $(nproc) $(count 1) $(count 2) $(sum)."
echo "$line" >> /root/lines; sync
done
`;

interface Report {
  readonly date: number;
  readonly cpuCount: number;
  readonly counts: readonly number[];
  readonly sum: string;
}

/** Types a word, and reads what the guest tells of itself. */
async function report(guest: Guest, word: string): Promise<Report> {
  await guest.type(word);
  const found = await guest.shows(new RegExp(`${word}: (\\d+) (\\d+) (\\d+) (\\d+) (\\w{32})\\.`));
  const [, date, cpuCount, ...counts] = found.slice(0, 5).map(Number);
  return { date: date ?? 0, cpuCount: cpuCount ?? 0, counts, sum: found[5] ?? "" };
}

/** Waits until the clock of the guests' host shows this time; returns the time that it shows. */
async function hostReaches(date: number): Promise<number> {
  const wait = 'until [ "$(date +%s)" -ge "$1" ]; do sleep 1; done; date +%s';
  return Number(await outputOnHost(["sh", "-c", wait, "sh", String(date)]));
}

test("a guest goes on from its template, and does not notice but for the time", () =>
  onceMoreIfLost(saveAndGoOn));

async function saveAndGoOn(): Promise<void> {
  const host = await guestHost();
  const template = host.pathOf(`template-${process.pid}`);
  const options = { cpuCount: 2, script, more: ["-qmp", "unix:$NAME.qmp,server,nowait"] };
  const guest = await Guest.start(options);
  const monitor = await Monitor.connect(`${guest.name}.qmp`);
  await guest.shows(/init reached/);
  const before = await report(guest, "before");
  expect(before.cpuCount).toBe(2);
  await monitor.saveAndQuit(template);
  expect((await guest.outcome()).code).toBe(0);

  const now = await hostReaches(before.date + restSeconds);
  const clone = await Guest.start({
    ...options,
    on: guest.disk,
    more: [...options.more, "-incoming", `file:${template}`],
  });
  const after = await report(clone, "after");
  expect(clone.console).not.toContain("init reached");
  expect(after.date).toBeGreaterThan(now - toleranceSeconds);
  expect(after.date).toBeLessThan(now + 60);
  expect(after.sum).toBe(before.sum);
  expect(after.cpuCount).toBe(2);
  const begin = await hostReaches(0);
  const later = await report(clone, "later");
  const end = await hostReaches(0);
  expect(later.date).toBeGreaterThan(begin - toleranceSeconds);
  expect(later.date).toBeLessThan(end + toleranceSeconds);
  expect(Math.min(...after.counts)).toBeGreaterThan(Math.min(...before.counts));
  expect(later.counts[0]).toBeGreaterThan(after.counts[0] ?? 0);
  expect(later.counts[1]).toBeGreaterThan(after.counts[1] ?? 0);
  const over = await Monitor.connect(`${clone.name}.qmp`);
  await over.ask("quit");
  expect((await clone.outcome()).code).toBe(0);
}
