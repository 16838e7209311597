// From uses of options to a Config: reads each option by its declaration and fills in defaults.
// What concerns several options at once is in checks.ts.

import { UserError } from "../errors.ts";
import { checkConfig, checkUnique } from "./checks.ts";
import type {
  BootConfig,
  ChardevConfig,
  Config,
  CpuConfig,
  DeviceConfig,
  DeviceValues,
  IncomingConfig,
  MachineConfig,
  ProcessConfig,
  TraceConfig,
} from "./config.ts";
import { buildConsoles } from "./consoles.ts";
import { chardevVariants } from "./declarations/backends.ts";
import { incomingVariants } from "./declarations/boot.ts";
import { deviceVariants, maxBlockQueues } from "./declarations/devices.ts";
import { cpuKeys, globalKeys, machineKeys, memoryKeys, smpKeys } from "./declarations/machine.ts";
import { objectVariants } from "./declarations/objects.ts";
import { metricsVariants, traceKeys } from "./declarations/process.ts";
import { buildDrive } from "./drives.ts";
import { nextMacAddress } from "./mac_addresses.ts";
import { buildMemory, isMemoryBackend } from "./memory.ts";
import { buildNetdev } from "./netdevs.ts";
import { findOption } from "./options.ts";
import { parseKeys, parseVariant } from "./parse.ts";
import { isSerialPort, nextPortNumber } from "./serial_ports.ts";
import type { Use } from "./tokenise.ts";
import { completeTopology } from "./topology.ts";
import { readValue } from "./values.ts";
import { takeBackEnds } from "./vhost_user.ts";

/** All values of an option, over all its uses. */
export type Values = (name: string) => readonly string[];

function valuesOf(uses: readonly Use[]): Values {
  return (name) => uses.filter((use) => use.option.name === name).flatMap((use) => use.values);
}

function isGiven(uses: readonly Use[], name: string): boolean {
  return uses.some((use) => use.option.name === name);
}

/** The value of an option with shape "value", checked by its declared type. */
function singleValue(values: Values, name: string): string | undefined {
  const source = values(name)[0];
  const option = findOption(name);
  if (source === undefined || option?.shape !== "value") return undefined;
  return String(readValue(option.type, source, `-${name}`));
}

function buildMachine(values: Values): MachineConfig {
  // What comes from a template had QMP, for nothing else makes one.
  const hasQmp = ["qmp", "mon", "incoming"].some((name) => values(name).length > 0);
  const machine = parseKeys("-machine", machineKeys, values("machine")[0] ?? "microvm");
  const separate = singleValue(values, "accel");
  if (separate !== undefined && machine.accel !== undefined && separate !== machine.accel) {
    throw new UserError(
      `The options -accel ${separate} and -machine accel=${machine.accel} differ; give one.`,
    );
  }
  return {
    type: machine.type === "none" ? "none" : "microvm",
    accel: (separate ?? machine.accel) === "test" ? "test" : "kvm",
    memShare: machine.memShare,
    dumpGuestCore: machine.dumpGuestCore,
    acpi: machine.acpi,
    pit: machine.pit === "auto" ? !machine.acpi : machine.pit === "on",
    replaceable: machine.replaceable === "auto" ? hasQmp : machine.replaceable === "on",
  };
}

function buildCpu(values: Values): CpuConfig {
  const smp = parseKeys("-smp", smpKeys, values("smp")[0] ?? "1");
  const features = parseKeys("-cpu", cpuKeys, values("cpu")[0] ?? "host");
  return { ...completeTopology(smp), pmu: features.pmu };
}

function buildBoot(values: Values): BootConfig {
  const words = values("append").map((word) => word.trim());
  return {
    kernelPath: singleValue(values, "kernel"),
    initrdPath: singleValue(values, "initrd"),
    commandLine: words.filter((word) => word !== "").join(" "),
  };
}

function buildIncoming(values: Values): IncomingConfig | undefined {
  const [source] = values("incoming");
  if (source === undefined) return undefined;
  return parseVariant("-incoming", "transport", incomingVariants, source);
}

/** What the other devices of the machine have. */
interface Taken {
  readonly ids: Set<string>;
  readonly macs: Set<string>;
  readonly portNumbers: Set<number>;
}

/**
 * Fills in what a device may leave out: its id ("<driver>N", the lowest N that is free), one queue
 * a processor, the next MAC address, the next number of a port.
 */
function resolveDevice(device: DeviceValues, taken: Taken, cpuCount: number): DeviceConfig {
  let index = 0;
  while (taken.ids.has(`${device.driver}${index}`)) index += 1;
  const id = device.id ?? `${device.driver}${index}`;
  switch (device.driver) {
    case "virtio-blk-device":
      return {
        ...device,
        id,
        numQueues: device.numQueues ?? Math.min(cpuCount, maxBlockQueues),
      };
    case "virtio-net-device":
      return { ...device, id, mac: device.mac?.toLowerCase() ?? nextMacAddress(taken.macs) };
    case "virtconsole":
    case "virtserialport":
      return {
        ...device,
        id,
        nr: device.nr ?? nextPortNumber(device.driver, [...taken.portNumbers]),
      };
    case "virtio-rng-device":
    case "virtio-balloon-device":
    case "vhost-user-blk-device":
    case "vhost-user-fs-device":
    case "virtio-serial-device":
    case "vhost-vsock-device":
      return { ...device, id };
  }
}

function buildDevices(values: Values, cpuCount: number): DeviceConfig[] {
  const parsed = values("device").map((source) =>
    parseVariant("-device", "driver", deviceVariants, source),
  );
  const networks = parsed.filter((device) => device.driver === "virtio-net-device");
  const taken: Taken = {
    ids: new Set(parsed.flatMap((device) => device.id ?? [])),
    macs: new Set(networks.flatMap((device) => device.mac?.toLowerCase() ?? [])),
    portNumbers: new Set(parsed.flatMap((device) => ("nr" in device ? (device.nr ?? []) : []))),
  };
  return parsed.map((device) => {
    const resolved = resolveDevice(device, taken, cpuCount);
    taken.ids.add(resolved.id);
    if (resolved.driver === "virtio-net-device") taken.macs.add(resolved.mac);
    if (isSerialPort(resolved)) taken.portNumbers.add(resolved.nr);
    return resolved;
  });
}

function buildTrace(values: Values): TraceConfig | undefined {
  const [source] = values("trace");
  if (source === undefined) return undefined;
  const { file, type, backend } = parseKeys("-trace", traceKeys, source);
  if (file === undefined && type === undefined) {
    throw new UserError("-trace needs 'file=PATH' or 'type=all|events|scopes'.");
  }
  return { file, type, backend: backend === "ftrace" ? "ftrace" : "log" };
}

function buildMetrics(values: Values): string | undefined {
  const [source] = values("metrics");
  if (source === undefined) return undefined;
  return parseVariant("-metrics", "transport", metricsVariants, source).path;
}

function buildProcess(values: Values, uses: readonly Use[]): ProcessConfig {
  return {
    name: singleValue(values, "name") ?? "",
    logFile: singleValue(values, "D"),
    daemonize: isGiven(uses, "daemonize"),
    pidfile: singleValue(values, "pidfile"),
    seccomp: !isGiven(uses, "disable-seccomp"),
    startPaused: isGiven(uses, "S"),
    modTestSocket: singleValue(values, "mod-test"),
    trace: buildTrace(values),
    metricsSocket: buildMetrics(values),
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}

/** The frozen Config of checked uses, or a UserError with one sentence. */
export function buildConfig(uses: readonly Use[]): Config {
  const values = valuesOf(uses);
  const cpu = buildCpu(values);
  const chardevs: ChardevConfig[] = values("chardev").map((source) =>
    parseVariant("-chardev", "backend", chardevVariants, source),
  );
  const objects = values("object").map((source) =>
    parseVariant("-object", "type", objectVariants, source),
  );
  checkUnique("objects", objects);
  const machine = buildMachine(values);
  const netdevs = values("netdev").map(buildNetdev);
  const devices = buildDevices(values, cpu.count);
  const consoles = buildConsoles(values, chardevs);
  const config: Config = {
    machine,
    cpu,
    ...buildMemory({
      machine,
      sizeBytes: parseKeys("-m", memoryKeys, values("m")[0] ?? "256M").size,
      path: singleValue(values, "mem-path"),
      prealloc: isGiven(uses, "mem-prealloc"),
      backends: objects.flatMap((object) => (isMemoryBackend(object) ? [object] : [])),
      numa: values("numa"),
      cpuCount: cpu.maxCount,
    }),
    boot: buildBoot(values),
    incoming: buildIncoming(values),
    drives: values("drive").map(buildDrive),
    netdevs,
    devices,
    iothreads: objects.flatMap(({ type, id }) => (type === "iothread" ? [{ id }] : [])),
    randomSources: objects.flatMap((object) =>
      object.type === "rng-random" ? [{ id: object.id, filename: object.filename }] : [],
    ),
    ...consoles,
    ...takeBackEnds(consoles, devices, netdevs),
    process: buildProcess(values, uses),
    ignored: uses
      .filter(({ option }) => option.shape === "ignored" || option.name === "global")
      .map((use) => ({ option: `-${use.option.name}`, values: use.values })),
  };
  // Of devices that a microvm cannot have; a mistake in it is one all the same.
  for (const value of values("global")) parseKeys("-global", globalKeys, value);
  checkConfig(config);
  return deepFreeze(config);
}
