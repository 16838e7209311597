// Cross checks: what no option can see alone. Each failure is one sentence (behaviour 1.6, 1.7).

import { UserError } from "../errors.ts";
import type { Config } from "./config.ts";
import { serialChardevId } from "./consoles.ts";
import { checkDevices } from "./device_checks.ts";
import { checkDrive } from "./drives.ts";
import { checkDescriptors } from "./netdevs.ts";
import { placeName, socketPlace } from "./socket_place.ts";
import { checkSharedMemory } from "./vhost_user.ts";

const maxIothreads = 8;

interface Named {
  readonly id: string;
}

/** Throws when two of these have the same id. */
export function checkUnique(what: string, items: readonly Named[]): void {
  const seen = new Set<string>();
  for (const { id } of items) {
    if (seen.has(id)) throw new UserError(`The id '${id}' is used by two ${what}; ids are unique.`);
    seen.add(id);
  }
}

function checkDrives(config: Config): void {
  config.drives.forEach(checkDrive);
  for (const [index, drive] of config.drives.entries()) {
    const other = config.drives.slice(0, index).find((earlier) => earlier.file === drive.file);
    if (other !== undefined && !(other.readonly && drive.readonly)) {
      const both = `'${other.id}' and '${drive.id}'`;
      throw new UserError(
        `The drives ${both} use the same file '${drive.file}'; both must be readonly=on.`,
      );
    }
  }
}

function chardevUser(id: string): string {
  return id === serialChardevId ? "-serial" : `the chardev '${id}'`;
}

function checkStdio(config: Config): void {
  const users = config.chardevs
    .filter((chardev) => chardev.backend === "stdio")
    .map((chardev) => chardevUser(chardev.id));
  if (users.length > 1) {
    throw new UserError(`stdio is used by ${users.join(" and by ")}; only one can use it.`);
  }
  const [user] = users;
  if (user !== undefined && config.process.daemonize) {
    throw new UserError(`stdio is used by ${user}, but -daemonize closes it; use a file.`);
  }
}

function checkProcess(config: Config): void {
  const { daemonize, pidfile, modTestSocket } = config.process;
  if (pidfile !== undefined && !daemonize) {
    throw new UserError(`-pidfile '${pidfile}' needs -daemonize.`);
  }
  if (modTestSocket !== undefined && config.machine.accel !== "test") {
    throw new UserError("-mod-test needs -machine accel=test.");
  }
}

function checkSockets(config: Config): void {
  const seen = new Set<string>();
  const listed = [
    ...config.qmp.map(placeName),
    ...config.backEnds.map(({ path }) => path),
    ...(config.process.metricsSocket === undefined ? [] : [config.process.metricsSocket]),
    ...config.chardevs.flatMap((chardev) =>
      chardev.backend === "socket" ? [placeName(socketPlace("-chardev", chardev))] : [],
    ),
  ];
  for (const place of listed) {
    if (seen.has(place)) throw new UserError(`The socket '${place}' is used twice.`);
    seen.add(place);
  }
}

/** Throws a UserError for the first thing that does not fit together. */
export function checkConfig(config: Config): void {
  checkUnique("drives", config.drives);
  checkUnique("netdevs", config.netdevs);
  checkUnique("devices", config.devices);
  checkUnique("chardevs", config.chardevs);
  if (config.iothreads.length > maxIothreads) {
    const count = config.iothreads.length;
    throw new UserError(`There are ${count} iothreads, but at most ${maxIothreads} are possible.`);
  }
  checkStdio(config);
  checkSockets(config);
  checkProcess(config);
  checkDrives(config);
  checkDescriptors(config.netdevs);
  checkDevices(config);
  checkSharedMemory(config);
  checkBoot(config);
}

function checkBoot({ machine, boot, incoming }: Config): void {
  if (machine.type === "none" && incoming !== undefined) {
    throw new UserError("The machine none has nothing to restore; use -machine microvm.");
  }
  // Without a processor (accel=test) there is nobody to run a kernel.
  const needsKernel = machine.accel === "kvm" && incoming === undefined;
  if (machine.type === "microvm" && needsKernel && boot.kernelPath === undefined) {
    throw new UserError("The machine microvm needs a kernel: -kernel PATH.");
  }
}
