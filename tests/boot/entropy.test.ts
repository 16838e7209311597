// virtio-rng and virtio-balloon with Linux's own drivers: random bytes at the limited rate, and
// memory that really goes back to the host.

import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import type { Move } from "./balloon_moves.ts";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { outputOnHost } from "./host_command.ts";
import { allBootsAsked } from "./seldom.ts";

if (allBootsAsked) beforeAll(guestHost, prepareTimeoutMs);

const MIB = 2 ** 20;

/** Reads random bytes, uses much memory and lets go of it, and does what is typed then. */
const script = `
up() { read -r now rest < /proc/uptime; echo "$now"; }
start=$(up)
dd if=/dev/hwrng of=/tmp/random bs=100 count=30 2> /dev/null
values=$(od -An -v -tx1 -w1 /tmp/random | sort -u | wc -l)
echo "random: $(wc -c < /tmp/random) $start $(up) $values"
dd if=/dev/zero of=/tmp/fill bs=1M count=96 2> /dev/null
rm /tmp/fill
echo filled
read -r line
eval "$line"
`;

/** A machine of 256 MiB whose memory is a file beside its QMP socket. */
function start(devices: readonly string[]): Promise<Guest> {
  const source = ["-object", "rng-random,id=source,filename=/dev/urandom"];
  const control = ["-mem-path", "$NAME.memory", "-qmp", "unix:$NAME.qmp,server,nowait"];
  return Guest.start({
    memory: "256M",
    disk: "none",
    machine: "microvm,mem-share=on",
    script,
    more: [...source, ...control, ...devices.flatMap((device) => ["-device", device])],
  });
}

/** Runs balloon_moves.ts beside the guest. */
async function probe(guest: Guest, targets: readonly number[]): Promise<Move[]> {
  const host = await guestHost();
  const program = join(checkout, "tests/boot/balloon_moves.ts");
  const places = [`${guest.name}.qmp`, `${guest.name}.memory`].map((name) => host.pathOf(name));
  return JSON.parse(await outputOnHost(["bun", program, ...places, ...targets.map(String)]));
}

test.skipIf(!allBootsAsked)(
  "random bytes come at the limit, and the balloon's memory goes back and returns",
  async () => {
    const guest = await start([
      "virtio-rng-device,rng=source,max-bytes=1000,period=1000",
      "virtio-balloon-device,deflate-on-oom=true",
    ]);
    const [, ...random] = await guest.shows(/random: (\d+) ([\d.]+) ([\d.]+) (\d+)\s/);
    const [size = 0, before = 0, after = 0, values = 0] = random.map(Number);
    expect(size).toBe(3000);
    expect(values).toBeGreaterThan(250);
    // One second's worth may come at once.
    expect(after - before).toBeGreaterThan(1.9);

    await guest.shows(/filled/);
    const [inflated, deflated] = await probe(guest, [112 * MIB, 256 * MIB]);
    expect(inflated?.before).toBeGreaterThan(140 * MIB);
    expect(inflated?.after).toBeLessThan(112 * MIB);
    expect(inflated?.actualBytes).toBe(112 * MIB);
    expect(inflated?.events[0]).toBe(112 * MIB);
    expect(inflated?.events.at(-1)).toBe(112 * MIB);
    expect(deflated?.actualBytes).toBe(256 * MIB);
    await guest.type("dd if=/dev/zero of=/tmp/fill bs=1M count=96; wc -c /tmp/fill");
    await guest.shows(/100663296 \/tmp\/fill/);
    expect((await guest.outcome()).code).toBe(0);
  },
);

test.skipIf(!allBootsAsked)(
  "memory that the guest reports as free goes back by itself",
  async () => {
    const guest = await start(["virtio-balloon-device,free_page_reporting=true"]);
    await guest.shows(/filled/);
    const path = (await guestHost()).pathOf(`${guest.name}.memory`);
    const small = `until [ "$(du -m "$1" | cut -f1)" -lt 130 ]; do sleep 0.2; done; echo small`;
    expect(await outputOnHost(["sh", "-c", small, "sh", path])).toBe("small\n");
    await guest.type("wc -c /tmp/fill");
    await guest.shows(/No such file/);
    expect((await guest.outcome()).code).toBe(0);
  },
);
