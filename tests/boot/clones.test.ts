// Two Linux guests of one template at the same time: each has a tap of its own and draws its own
// random numbers.

import { beforeAll, expect, test } from "bun:test";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { outputOnHost } from "./host_command.ts";
import { Monitor } from "./monitor.ts";
import { allBootsAsked } from "./seldom.ts";

if (allBootsAsked) beforeAll(guestHost, prepareTimeoutMs);

/** The first is of the machine that is saved. */
const TAPS = ["a", "b", "c"].map((letter) => `sv${process.pid}${letter}`) as [
  string,
  string,
  string,
];
/** The guest keeps the address that it has learnt. */
const HOST_MAC = "02:00:00:00:09:01";
/** The kernel of a young guest reseeds after half of its uptime, at most a minute. */
const reseedSeconds = 30;

/** Runs what is typed. */
const script = `
ip link set eth0 up
ip addr add 10.9.0.2/24 dev eth0
ping -c 1 10.9.0.1 > /dev/null && echo "the host answers"
while read -r line; do eval "$line"; done
`;

const shell = (text: string) => outputOnHost(["sh", "-ec", text]);

const make = (tap: string) =>
  `ip tuntap add ${tap} mode tap; ip link set ${tap} address ${HOST_MAC} up`;
const serve = (tap: string) => `ip addr add 10.9.0.1/24 dev ${tap}`;
const leave = (tap: string) => `ip addr del 10.9.0.1/24 dev ${tap}`;

function start(tap: string, more: readonly string[] = []): Promise<Guest> {
  return Guest.start({
    disk: "none",
    script,
    more: [
      ...["-netdev", `tap,id=n,ifname=${tap}`, "-device", "virtio-net-device,netdev=n,id=net"],
      ...["-object", "rng-random,id=r,filename=/dev/urandom"],
      ...["-device", "virtio-rng-device,rng=r,id=rng"],
      ...["-qmp", "unix:$NAME.qmp,server,nowait", ...more],
    ],
  });
}

async function random(guest: Guest): Promise<string> {
  const found = await guest.shows(/random: ([0-9a-f]{32})\./);
  return found[1] ?? "";
}

test.skipIf(!allBootsAsked)("clones have their own network and random numbers", async () => {
  const host = await guestHost();
  const template = host.pathOf(`clones-${process.pid}`);
  const [first, second, third] = TAPS;
  await shell([...TAPS.map(make), serve(first)].join("; "));
  const saved = await start(first);
  await saved.shows(/the host answers/);
  const monitor = await Monitor.connect(`${saved.name}.qmp`);
  await monitor.saveAndQuit(template);
  expect((await saved.outcome()).code).toBe(0);

  const clones = [
    await start(second, ["-incoming", `file:${template}`]),
    await start(third, ["-incoming", `file:${template}`]),
  ] as const;
  await shell(`${leave(first)}; ${serve(second)}`);
  await clones[0].type("ping -c 3 10.9.0.1");
  await clones[0].shows(/3 packets received, 0% packet loss/);
  await shell(`${leave(second)}; ${serve(third)}`);
  await clones[1].type("ping -c 3 10.9.0.1");
  await clones[1].shows(/3 packets received, 0% packet loss/);

  const draw = `random: $(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n').`;
  for (const clone of clones) await clone.type(`sleep ${reseedSeconds}; echo "${draw}"`);
  const [one, other] = await Promise.all(clones.map(random));
  expect(one).not.toBe(other);

  for (const clone of clones) {
    const control = await Monitor.connect(`${clone.name}.qmp`);
    await control.ask("quit");
    expect((await clone.outcome()).code).toBe(0);
  }
  await shell(TAPS.map((tap) => `ip link del ${tap}`).join("; "));
});
