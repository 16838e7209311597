// virtio-console with Linux's own driver: a shell on hvc0, and a generic port that carries bytes
// both ways.

import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { checkout } from "../../scripts/lib/paths.ts";
import type { Talk } from "./console_talk.ts";
import { Guest } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";
import { outputOnHost } from "./host_command.ts";
import { allBootsAsked } from "./seldom.ts";

if (allBootsAsked) beforeAll(guestHost, prepareTimeoutMs);

const SIZE = 256 * 1024;

const script = `
modprobe virtio_console 2> /dev/null
until [ -e /dev/vport0p1 ]; do sleep 0.1; done
(exec setsid sh -i < /dev/hvc0 > /dev/hvc0 2>&1) &
exec 3<> /dev/vport0p1
echo "port is $(cat /sys/class/virtio-ports/vport0p1/name)."
: > /tmp/in
size() { wc -c < /tmp/in; }
# Until somebody is on the other side a read ends at once.
while [ "$(size)" -lt ${SIZE} ]; do head -c $((${SIZE} - $(size))) <&3 >> /tmp/in; done
cat /tmp/in >&3
echo echoed
read -r line
`;

test.skipIf(!allBootsAsked)(
  "a shell on the console, and bytes both ways through a port",
  async () => {
    const socket = (id: string) => ["-chardev", `socket,id=${id},path=$NAME.${id},server,nowait`];
    const guest = await Guest.start({
      disk: "none",
      script,
      more: [
        ...["-device", "virtio-serial-device", ...socket("console"), ...socket("port")],
        ...["-device", "virtconsole,id=console0,chardev=console,nr=0"],
        ...["-device", "virtserialport,id=port0,chardev=port,nr=1,name=org.example.echo"],
      ],
    });
    const [, name] = await guest.shows(/port is (\S+)\.\s/);
    expect(name).toBe("org.example.echo");
    const host = await guestHost();
    const paths = ["console", "port"].map((id) => host.pathOf(`${guest.name}.${id}`));
    const program = join(checkout, "tests/boot/console_talk.ts");
    const talk: Talk = JSON.parse(await outputOnHost(["bun", program, ...paths, String(SIZE)]));
    expect(talk).toEqual({ sentBytes: SIZE, areEqual: true, answer: "sum-42" });
    await guest.shows(/echoed/);
    await guest.type("");
    expect((await guest.outcome()).code).toBe(0);
  },
);
