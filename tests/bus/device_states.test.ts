// What each device keeps of its guest when it goes on in another machine.

import { describe, expect, test } from "bun:test";
import { CONSTANTS, ModelKind, StatePart } from "../../src/core/abi.gen.ts";
import type { Core, DeviceId } from "../../src/core/core.ts";
import { pauseDevices, restoreState, saveState, unpauseDevices } from "../../src/core/snapshot.ts";
import { macBytes } from "../../src/devices/mac_bytes.ts";
import { BALLOON_QUEUE, BalloonBench } from "../support/balloon_bench.ts";
import { BlkDriver } from "../support/blk_driver.ts";
import { BusMachine } from "../support/bus_machine.ts";
import { CMOS, CmosClock } from "../support/cmos_clock.ts";
import { diskOn } from "../support/disk.ts";
import { MmioTransport } from "../support/mmio_transport.ts";
import { NetBench } from "../support/net_bench.ts";
import { frameTo, NET_FEATURE, OWN_MAC, withHeader } from "../support/net_driver.ts";
import { RngBench } from "../support/rng_bench.ts";
import { SerialBench, UART } from "../support/serial_bench.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { until } from "../support/until.ts";
import type { VirtioDriver } from "../support/virtio_driver.ts";

interface Place {
  readonly core: Core;
  readonly device: DeviceId;
}

/** Saves one device and restores the other from that. */
function moveState(from: Place, to: Place): void {
  pauseDevices(from.core);
  const state = saveState(from.core, StatePart.device, from.device);
  restoreState(to.core, StatePart.device, to.device, state);
  unpauseDevices(to.core);
}

interface VirtioBench {
  readonly machine: BusMachine;
  readonly driver: VirtioDriver;
}

const placeOf = ({ machine, driver }: VirtioBench): Place => ({
  core: machine.core,
  device: driver.transport.device,
});

/** The same with the memory of the guest. */
function moveVirtio(from: VirtioBench, to: VirtioBench): void {
  to.driver.takeOver(from.driver);
  moveState(placeOf(from), placeOf(to));
}

const GIVEN_MAC = "52:54:00:aa:bb:cc";
const CHOSEN_MAC = "52:54:00:01:02:03";
const GROUP = "01:00:5e:00:00:01";
const STRANGER = "52:54:00:99:99:99";
const MODE = { promiscuous: 0, allMulticast: 1 } as const;
const setMode = (mode: number, value: 0 | 1) => [0, mode, value];
const setMac = (mac: string) => [1, 1, ...macBytes(mac)];
const setTables = (group: string) => [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, ...macBytes(group)];
const macOf = ({ driver }: NetBench): Uint8Array =>
  macBytes(OWN_MAC).map((_, index) => Number(driver.transport.readConfig(index, 1)));

/** A device whose guest wants frames to itself alone. */
async function pickyNet(): Promise<NetBench> {
  const bench = new NetBench({ features: NET_FEATURE.control });
  await bench.driver.command(setMode(MODE.promiscuous, 0));
  await bench.driver.command(setTables(GROUP));
  return bench;
}

/** Which of these frames the guest receives: the last one is for everybody, and is left out. */
async function received(bench: NetBench, targets: readonly string[]): Promise<string[]> {
  bench.driver.offerBuffers(targets.length + 1, 2048);
  const seeds = [...targets.keys(), 200];
  [...targets, "ff:ff:ff:ff:ff:ff"].forEach((target, index) => {
    bench.wire.send(withHeader(frameTo(target, 60, seeds[index])));
  });
  const got: number[] = [];
  while (got.at(-1) !== 200 + 20) got.push((await bench.driver.receive()).frame[20] ?? 0);
  return targets.filter((_, index) => got.includes(index + 20));
}

describe("virtio-net", () => {
  test("keeps its guest's modes and addresses", async () => {
    using saved = await pickyNet();
    await saved.driver.command(setMac(CHOSEN_MAC));
    using bench = new NetBench();
    moveVirtio(saved, bench);
    expect([...macOf(bench)]).toEqual([...macBytes(CHOSEN_MAC)]);
    expect(await received(bench, [STRANGER, GROUP, OWN_MAC, CHOSEN_MAC])).toEqual([
      GROUP,
      CHOSEN_MAC,
    ]);
  });

  test("takes a new address of the host, tells the guest, and leaves it the old one", async () => {
    using saved = await pickyNet();
    using bench = new NetBench({ mac: macBytes(GIVEN_MAC) });
    const generation = saved.driver.transport.configGeneration();
    moveVirtio(saved, bench);
    expect([...macOf(bench)]).toEqual([...macBytes(GIVEN_MAC)]);
    expect(bench.driver.transport.configGeneration()).toBe(generation + 1);
    expect(bench.driver.transport.interruptStatus() & 2).toBe(2);
    expect(await received(bench, [STRANGER, OWN_MAC, GIVEN_MAC])).toEqual([OWN_MAC, GIVEN_MAC]);
    expect(await bench.driver.command(setMac(GIVEN_MAC))).toBe(0);
    expect(await received(bench, [STRANGER, OWN_MAC, GIVEN_MAC])).toEqual([GIVEN_MAC]);
  });
});

describe("virtio-blk", () => {
  test("tells its guest that the disk has another size now", () => {
    using folder = new TemporaryFolder();
    const benchOf = (name: string, size: number) => {
      const machine = new BusMachine();
      const disk = diskOn(machine, folder.file(name), new Uint8Array(size));
      return { machine, driver: new BlkDriver(new MmioTransport(machine, disk), machine.ram) };
    };
    const [saved, same, larger] = [benchOf("a", 4096), benchOf("b", 4096), benchOf("c", 8192)];
    saved.driver.start();
    moveVirtio(saved, same);
    moveVirtio(saved, larger);
    expect(same.driver.transport.interruptStatus()).toBe(0);
    expect(larger.driver.transport.interruptStatus()).toBe(2);
    expect(larger.driver.transport.readConfig(0, 8)).toBe(16n);
    for (const { machine } of [saved, same, larger]) machine[Symbol.dispose]();
  });
});

describe("virtio-balloon", () => {
  test("keeps what it was asked for and what it holds", async () => {
    using saved = new BalloonBench();
    saved.start();
    saved.machine.core.setBalloon(saved.driver.transport.device, 300);
    await saved.send(BALLOON_QUEUE.inflate, [saved.fillPages(1)]);
    saved.driver.transport.writeConfig(4, 4, 77n);
    using bench = new BalloonBench();
    moveVirtio(saved, bench);
    expect(bench.info.targetPageCount).toBe(300);
    expect(bench.info.actualPageCount).toBe(77);
    expect(bench.driver.transport.readConfig(0, 8)).toBe(300n | (77n << 32n));
  });
});

describe("virtio-rng", () => {
  test("reads new bytes for a clone", async () => {
    using saved = new RngBench();
    saved.driver.start();
    const before = await saved.ask([64]);
    using bench = new RngBench();
    moveVirtio(saved, bench);
    expect(await bench.ask([64])).not.toEqual(before);
  });

  test("does not forget what its guest has had of this second", async () => {
    using saved = new RngBench({ rate: 64 });
    saved.driver.start();
    await saved.ask([64]);
    using bench = new RngBench({ rate: 64 });
    const started = performance.now();
    moveVirtio(saved, bench);
    await bench.ask([64]);
    expect(performance.now() - started).toBeGreaterThan(500);
  });
});

describe("the serial port", () => {
  const RECEIVE = 1;

  test("keeps registers and unread input, and raises its interrupt again", async () => {
    using saved = new SerialBench({ input: "abc" });
    await until("input", () => saved.hasInput);
    saved.write(UART.interruptEnable, RECEIVE);
    saved.write(UART.modemControl, 0x0b);
    expect(String.fromCharCode(saved.read(UART.data))).toBe("a");
    using bench = new SerialBench("none");
    moveState(
      { core: saved.machine.core, device: saved.device },
      { core: bench.machine.core, device: bench.device },
    );
    expect(bench.interruptCount).toBe(1);
    expect(bench.read(UART.modemControl)).toBe(0x0b);
    expect(bench.receive()).toBe("bc");
  });

  test("has input that came before its state behind that of the state", async () => {
    using saved = new SerialBench({ input: "abc" });
    using bench = new SerialBench({ input: "def" });
    await until("input", () => saved.hasInput && bench.hasInput);
    moveState(
      { core: saved.machine.core, device: saved.device },
      { core: bench.machine.core, device: bench.device },
    );
    expect(bench.receive()).toBe("abcdef");
  });
});

describe("platform devices", () => {
  const deviceOf = (machine: BusMachine, model: ModelKind): Place => ({
    core: machine.core,
    device: machine.core.createDevice({ model }),
  });

  test("the clock keeps what its guest has set, and shows the time of the new machine", () => {
    using saved = new CmosClock();
    saved.write(CMOS.hours, 0x12);
    saved.write(0x40, 0x5a);
    using bench = new CmosClock();
    bench.advanceSeconds(7);
    moveState(
      { core: saved.machine.core, device: saved.device },
      {
        core: bench.machine.core,
        device: bench.device,
      },
    );
    expect(bench.time).toBe("20 26 01 01 12 00 07");
    expect(bench.read(0x40)).toBe(0x5a);
  });

  test.each([
    ["keyboard controller", ModelKind.i8042, 0x60, 5],
    ["debug port", ModelKind.debugPort, 0x3ff, 1],
    ["power registers", ModelKind.power, 0xcf9, 1],
  ] as const)("the %s is as it was", (_name, model, base, size) => {
    using saved = new BusMachine();
    using bench = new BusMachine();
    const [from, to] = [deviceOf(saved, model), deviceOf(bench, model)];
    const region = 1;
    saved.addPorts(from.device, base, size, region);
    bench.addPorts(to.device, base, size, region);
    saved.writePort(base + size - 1, 0xaa);
    const ports = Array.from({ length: size }, (_, index) => base + index);
    const state = saveState(from.core, StatePart.device, from.device);
    moveState(from, to);
    expect(ports.map((port) => bench.readPort(port))).toEqual(
      ports.map((port) => saved.readPort(port)),
    );
    expect(state.length).toBeLessThan(CONSTANTS.transferSizeMax);
    expect(() => restoreState(to.core, StatePart.device, to.device, state.subarray(1))).toThrow();
  });
});
