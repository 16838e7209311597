// What QMP adds to a running machine, from its arguments to what the machine reads.

import { expect, test } from "bun:test";
import { buildBlockdev, buildHotDevice, buildHotNetdev } from "../../src/options/hot_replace.ts";

const slots = { block: 4, network: 2 };
const disk = { id: "d", file: "/d" };
const device = { id: "x", driver: "virtio-blk-mmio" };
const card = { id: "n", driver: "virtio-net-device" };

test("a block device has upstream's defaults, and cache.direct=false wins over aio", () => {
  const usual = { readonly: false, format: "raw", discard: false, detectZeroes: "off" } as const;
  expect(buildBlockdev({ ...disk, aio: "native" })).toEqual({
    ...disk,
    ...usual,
    ...{ direct: true, aio: "native", iopsLimit: 0 },
  });
  expect(buildBlockdev({ ...disk, direct: false, aio: "native" })).toMatchObject({
    direct: false,
    aio: "off",
  });
  const keys = { readonly: true, discard: "unmap", "detect-zeroes": "unmap" } as const;
  const all = { ...disk, aio: "io_uring", ...keys, "throttling.iops-total": 9 };
  expect(buildBlockdev(all)).toMatchObject({
    ...{ readonly: true, discard: true, detectZeroes: "unmap", aio: "io_uring", iopsLimit: 9 },
  });
});

test("a device finds its back end by name, and its slot by addr, by lun or not at all", () => {
  const slotOf = (keys: object) => buildHotDevice({ ...device, ...keys }, slots).slot;
  expect([slotOf({}), slotOf({ addr: "0x3" }), slotOf({ addr: "2" }), slotOf({ lun: 0 })]).toEqual([
    undefined,
    3,
    2,
    1,
  ]);
  expect(slotOf({ addr: "0x0", lun: 2 })).toBe(0);
  expect(buildHotDevice({ ...device, drive: "d", serial: "S" }, slots)).toMatchObject({
    ...{ kind: "block", backendIds: ["d", "x"], serial: "S", mac: undefined },
  });
  const chardev = { ...card, chardev: "n", mac: "52:54:00:AA:00:01" };
  expect(buildHotDevice(chardev, slots)).toMatchObject({
    ...{ kind: "network", backendIds: ["n", "n"], mac: "52:54:00:aa:00:01" },
  });
});

test("a netdev is a tap by name or by one descriptor", () => {
  expect(buildHotNetdev("tap", { id: "n", ifname: "tap0" })).toEqual({
    ...{ id: "n", queues: 1, tap: { kind: "interface", name: "tap0" } },
  });
  expect(buildHotNetdev("tap", { id: "n", fd: 7, vhost: false })).toEqual({
    ...{ id: "n", queues: 1, tap: { kind: "descriptors", fds: [7] } },
  });
});

const REFUSALS: [string, () => unknown][] = [
  [
    "The drive 'd' of blockdev-add has neither file.aio nor cache.direct; " +
      "give file.aio=native or io_uring, or cache.direct=false.",
    () => buildBlockdev(disk),
  ],
  [
    "The drive 'd' has aio=off with direct=on; use direct=off, or aio=native or aio=io_uring.",
    () => buildBlockdev({ ...disk, aio: "off" }),
  ],
  [
    "Bad value 'io-uring' for aio of blockdev-add: expected native, io_uring, threads or off. " +
      "Did you mean 'io_uring'?",
    () => buildBlockdev({ ...disk, aio: "io-uring" }),
  ],
  [
    "format of blockdev-add=qcow2 is not supported yet by this build.",
    () => buildBlockdev({ ...disk, direct: false, format: "qcow2" }),
  ],
  [
    "The netdev 'n' has vhost=on, which cannot be in an empty slot of a running microvm; " +
      "leave it out.",
    () => buildHotNetdev("tap", { id: "n", fd: 7, vhost: true }),
  ],
  [
    "The netdev 'n' has 2 queues, of which one can be in an empty slot of a running microvm.",
    () => buildHotNetdev("tap", { id: "n", ifname: "tap0", queues: 2 }),
  ],
  [
    "The netdev 'n' is a vhost-user back end, which cannot be in an empty slot of a running " +
      "microvm; use a tap.",
    () => buildHotNetdev("vhost-user", { id: "n", chardev: "c" }),
  ],
  [
    "Unknown type 'tab' of netdev_add. Did you mean 'tap'?",
    () => buildHotNetdev("tab", { id: "n" }),
  ],
  [
    "The netdev 'n' needs a tap: ifname=NAME, fd=FD or fds=FD:FD.",
    () => buildHotNetdev("tap", { id: "n" }),
  ],
  [
    "The device 'x' has the driver 'virtio-rng-device', but only virtio-blk and virtio-net can " +
      "be added to a running microvm.",
    () => buildHotDevice({ ...device, driver: "virtio-rng-device" }, slots),
  ],
  [
    "The device 'x' has the addr '0x4'; a slot of its kind has a number from 0 to 3.",
    () => buildHotDevice({ ...device, addr: "0x4" }, slots),
  ],
  [
    "The device 'n' has the lun 1; a slot of its kind has a number from 0 to 1.",
    () => buildHotDevice({ ...card, lun: 1 }, slots),
  ],
  [
    "The MAC address '01:00:00:00:00:01' of the device 'n' is one of a group; " +
      "use one of a card, like 52:54:00:12:34:56.",
    () => buildHotDevice({ ...card, mac: "01:00:00:00:00:01" }, slots),
  ],
  [
    "Unknown key 'mac' of device_add. Known keys: id, drive, iothread, serial, bootindex, " +
      "num-queues, queue-size.",
    () => buildHotDevice({ ...device, mac: "52:54:00:12:34:56" }, slots),
  ],
];

test.each(REFUSALS)("%s", (sentence, build) => {
  expect(build).toThrow(new Error(sentence));
});
