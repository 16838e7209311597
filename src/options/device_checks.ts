// What a device needs of other options, and what devices must not share. Each failure is one
// sentence (behaviour 1.6).

import { UserError } from "../errors.ts";
import type { Config, DeviceConfig } from "./config.ts";
import { bytesPerSecond } from "./random_rate.ts";
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

function checkBlk(
  config: Config,
  device: DeviceOf<"virtio-blk-device">,
  driveUsers: Map<string, string>,
): void {
  const who = `The device '${device.id}'`;
  mustExist(who, "drive", `-drive id=${device.drive},file=PATH`, device.drive, config.drives);
  const other = driveUsers.get(device.drive);
  if (other !== undefined) {
    const both = `'${other}' and '${device.id}'`;
    throw new UserError(`The drive '${device.drive}' is used by two devices, ${both}.`);
  }
  driveUsers.set(device.drive, device.id);
  const { iothread } = device;
  if (iothread !== undefined) {
    mustExist(who, "iothread", `-object iothread,id=${iothread}`, iothread, config.iothreads);
  }
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

function checkBalloons(devices: readonly DeviceConfig[]): void {
  const [first, second] = devices.filter(({ driver }) => driver === "virtio-balloon-device");
  if (first === undefined || second === undefined) return;
  const both = `'${first.id}' and '${second.id}'`;
  throw new UserError(`The devices ${both} are both balloons; a machine has one at most.`);
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
  const driveUsers = new Map<string, string>();
  for (const device of config.devices) {
    switch (device.driver) {
      case "virtio-blk-device":
        checkBlk(config, device, driveUsers);
        break;
      case "virtio-rng-device":
        checkRng(config, device);
        break;
      case "virtio-balloon-device":
        break;
    }
  }
  checkBalloons(config.devices);
  checkBootOrder(config.devices);
}
