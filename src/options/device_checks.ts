// What a device needs of other options, and what devices must not share. Each failure is one
// sentence (behaviour 1.6).

import { UserError } from "../errors.ts";
import type { Config, DeviceConfig } from "./config.ts";
import { checkMacAddress } from "./mac_addresses.ts";
import { bytesPerSecond } from "./random_rate.ts";
import { checkSerialPorts, type SerialPort } from "./serial_ports.ts";
import { didYouMean } from "./suggest.ts";

type Driver = DeviceConfig["driver"];
type DeviceOf<D extends Driver> = Extract<DeviceConfig, { driver: D }>;

interface Named {
  readonly id: string;
}

function mustExist(who: string, what: string, option: string, id: string, items: readonly Named[]) {
  if (items.some((item) => item.id === id)) return;
  const known = items.map((item) => item.id);
  const hint = didYouMean(id, known, `Add '${option}'.`);
  throw new UserError(`${who} names the ${what} '${id}', which does not exist.${hint}`);
}

/** The devices of back ends that serve one each, such as drives. */
class BackendUsers {
  readonly #what: string;
  readonly #users = new Map<string, string>();

  constructor(what: string) {
    this.#what = what;
  }

  add(backend: string, device: string): void {
    const other = this.#users.get(backend);
    if (other !== undefined) {
      const both = `'${other}' and '${device}'`;
      throw new UserError(`The ${this.#what} '${backend}' is used by two devices, ${both}.`);
    }
    this.#users.set(backend, device);
  }
}

function checkIothread(
  config: Config,
  { id, iothread }: { readonly id: string; readonly iothread: string | undefined },
): void {
  if (iothread === undefined) return;
  const option = `-object iothread,id=${iothread}`;
  mustExist(`The device '${id}'`, "iothread", option, iothread, config.iothreads);
}

function checkBlk(
  config: Config,
  device: DeviceOf<"virtio-blk-device">,
  driveUsers: BackendUsers,
): void {
  const { id, drive } = device;
  mustExist(`The device '${id}'`, "drive", `-drive id=${drive},file=PATH`, drive, config.drives);
  driveUsers.add(drive, id);
  checkIothread(config, device);
}

function checkNet(
  config: Config,
  device: DeviceOf<"virtio-net-device">,
  netdevUsers: BackendUsers,
): void {
  const { id, netdev } = device;
  const option = `-netdev tap,id=${netdev},ifname=NAME`;
  mustExist(`The device '${id}'`, "netdev", option, netdev, config.netdevs);
  netdevUsers.add(netdev, id);
  checkMacAddress(id, device.mac);
  checkIothread(config, device);
}

/** Bytes a second (guidebook 2.8). */
const RATE_MIN = 64;
const RATE_MAX = 1_000_000_000;

function checkRng(config: Config, device: DeviceOf<"virtio-rng-device">): void {
  const { id, rng, maxBytes, period } = device;
  const who = `The device '${id}'`;
  const option = `-object rng-random,id=${rng},filename=/dev/urandom`;
  mustExist(who, "random source", option, rng, config.randomSources);
  if ((maxBytes === undefined) !== (period === undefined)) {
    const words = maxBytes === undefined ? "period without max-bytes" : "max-bytes without period";
    throw new UserError(`${who} has ${words}; give both, or neither for no limit.`);
  }
  const rate = bytesPerSecond(device);
  if (rate !== undefined && (rate < RATE_MIN || rate > RATE_MAX)) {
    const given = `max-bytes=${maxBytes} in period=${period} ms`;
    throw new UserError(
      `${who} has a limit of ${Number(rate.toFixed(3))} bytes a second (${given}); ` +
        `it must be from ${RATE_MIN} to ${RATE_MAX}.`,
    );
  }
}

function checkPort(config: Config, { id, chardev }: SerialPort, users: BackendUsers): void {
  const option = `-chardev pty,id=${chardev}`;
  mustExist(`The port '${id}'`, "chardev", option, chardev, config.chardevs);
  users.add(chardev, id);
}

/** Drivers of which a machine has one device at most, with what two of them are. */
const SINGLE = [
  { driver: "virtio-balloon-device", plural: "balloons" },
  { driver: "vhost-vsock-device", plural: "vsock devices" },
] as const satisfies readonly { driver: Driver; plural: string }[];

function checkSingle(devices: readonly DeviceConfig[]): void {
  for (const { driver, plural } of SINGLE) {
    const [first, second] = devices.filter((device) => device.driver === driver);
    if (first === undefined || second === undefined) continue;
    const both = `'${first.id}' and '${second.id}'`;
    throw new UserError(`The devices ${both} are both ${plural}; a machine has one at most.`);
  }
}

function checkBootOrder(devices: readonly DeviceConfig[]): void {
  const users = new Map<number, string>();
  for (const device of devices) {
    if (!("bootindex" in device) || device.bootindex === undefined) continue;
    const { bootindex, id } = device;
    const other = users.get(bootindex);
    if (other !== undefined) {
      throw new UserError(
        `The devices '${other}' and '${id}' have the same bootindex ${bootindex}.`,
      );
    }
    users.set(bootindex, id);
  }
}

/** Throws a UserError for the first thing of the devices that does not fit together. */
export function checkDevices(config: Config): void {
  const driveUsers = new BackendUsers("drive");
  const netdevUsers = new BackendUsers("netdev");
  const chardevUsers = new BackendUsers("chardev");
  if (config.serial !== undefined) chardevUsers.add(config.serial.chardev, "the serial port");
  for (const device of config.devices) {
    switch (device.driver) {
      case "virtio-blk-device":
        checkBlk(config, device, driveUsers);
        break;
      case "virtio-net-device":
        checkNet(config, device, netdevUsers);
        break;
      case "virtio-rng-device":
        checkRng(config, device);
        break;
      case "virtconsole":
      case "virtserialport":
        checkPort(config, device, chardevUsers);
        break;
      case "virtio-serial-device":
      case "virtio-balloon-device":
      case "vhost-user-blk-device":
      case "vhost-user-fs-device":
      case "vhost-vsock-device":
        break;
    }
  }
  checkSingle(config.devices);
  checkSerialPorts(config.devices);
  checkBootOrder(config.devices);
}
