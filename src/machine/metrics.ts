// What Prometheus is told of a machine: counters of the data plane, of QMP and of the process.

import { readFileSync } from "node:fs";
import { CONSTANTS } from "../core/abi.gen.ts";
import type { Core, DeviceId, DeviceMetrics } from "../core/core.ts";
import { exposition, type Family, type Sample } from "../host/exposition.ts";
import type { Config } from "../options/config.ts";
import type { QmpCounters } from "../qmp/counters.ts";
import type { BootTimes, RunState } from "../qmp/machine_control.ts";
import { VERSION } from "../version.ts";
import type { Assembly } from "./assemble.ts";

export interface MetricsSources {
  readonly assembly: Assembly;
  readonly config: Config;
  readonly status: () => RunState;
  readonly bootTimes: () => BootTimes;
  /** Of each QMP socket. */
  readonly qmp: readonly Readonly<QmpCounters>[];
}

const US_PER_S = 1e6;
const STATES: readonly RunState[] = ["running", "paused", "shutdown"];

/** The text that a scrape gets. */
export function collectMetrics(sources: MetricsSources): string {
  const { assembly, config } = sources;
  return exposition([
    ...machineFamilies(sources),
    exitFamily(assembly),
    ...deviceFamilies(assembly, config),
    ...balloonFamilies(assembly, config),
    ...qmpFamilies(sources.qmp),
    ...processFamilies(),
  ]);
}

function machineFamilies({ config, status, bootTimes }: MetricsSources): Family[] {
  const current = status();
  const { origin, steps } = bootTimes();
  return [
    {
      name: "stratovirt_build_info",
      type: "gauge",
      help: "Version of the program and of its runtime; always 1.",
      samples: [{ labels: { version: VERSION, arch: process.arch, bun: Bun.version }, value: 1 }],
    },
    {
      name: "stratovirt_machine_state",
      type: "gauge",
      help: "1 for the state that the machine is in.",
      samples: STATES.map((state) => ({ labels: { state }, value: state === current ? 1 : 0 })),
    },
    gauge("stratovirt_guest_memory_bytes", "Memory of the guest.", config.memory.sizeBytes),
    {
      name: "stratovirt_boot_step_seconds",
      type: "gauge",
      help: "When each step of the start was reached.",
      samples: Object.entries(steps).map(([step, us]) => ({
        labels: { step, origin },
        value: us / US_PER_S,
      })),
    },
  ];
}

function exitFamily({ core, vcpuCount }: Assembly): Family {
  const vcpus = Array.from({ length: vcpuCount }, (_, index) => index);
  return {
    name: "stratovirt_vcpu_exits_total",
    type: "counter",
    help: "Exits from guest mode that reached this process.",
    samples: vcpus.flatMap((index) => {
      const { pioExits, mmioExits, otherExits, parkCount } = core.vcpuInfo(index);
      const counts = { pio: pioExits, mmio: mmioExits, other: otherExits, park: parkCount };
      return Object.entries(counts).map(([kind, value]) => ({
        labels: { vcpu: String(index), kind },
        value,
      }));
    }),
  };
}

interface DeviceCounters extends DeviceMetrics {
  readonly interruptCount: number;
  readonly faultCount: number;
  readonly errorCount: number;
}

type DeviceFamily = Omit<Family, "samples"> & {
  readonly field: keyof DeviceCounters;
  /** Drivers that have it; all of them without. */
  readonly driver?: string;
};

const BLOCK = "virtio-blk-device";
const NETWORK = "virtio-net-device";
const RANDOM = "virtio-rng-device";

const DEVICE_FAMILIES: readonly DeviceFamily[] = [
  deviceCounter("interrupts_total", "interruptCount", "Interrupts raised."),
  deviceCounter("notifications_total", "notificationCount", "Notifications of queues handled."),
  deviceCounter("faults_total", "faultCount", "Times that the guest broke a rule."),
  deviceCounter("host_errors_total", "errorCount", "Requests that the host failed."),
  {
    ...deviceCounter("requests_total", "requestCount", "Requests taken from the queues."),
    driver: BLOCK,
  },
  {
    name: "stratovirt_device_requests_in_flight",
    type: "gauge",
    help: "Requests taken and not yet done: the queue depth.",
    field: "inFlightCount",
    driver: BLOCK,
  },
  { ...deviceCounter("read_bytes_total", "readBytes", "Bytes read."), driver: BLOCK },
  { ...deviceCounter("written_bytes_total", "writtenBytes", "Bytes written."), driver: BLOCK },
  {
    ...deviceCounter("received_frames_total", "receivedCount", "Frames for the guest."),
    driver: NETWORK,
  },
  {
    ...deviceCounter("received_bytes_total", "receivedBytes", "Bytes of these frames."),
    driver: NETWORK,
  },
  { ...deviceCounter("sent_frames_total", "sentCount", "Frames of the guest."), driver: NETWORK },
  {
    ...deviceCounter("sent_bytes_total", "sentBytes", "Bytes of these frames."),
    driver: NETWORK,
  },
  {
    ...deviceCounter("skipped_frames_total", "skippedCount", "Frames that the guest did not want."),
    driver: NETWORK,
  },
  {
    ...deviceCounter("dropped_frames_total", "droppedCount", "Frames that the tap did not take."),
    driver: NETWORK,
  },
  { ...deviceCounter("random_bytes_total", "randomBytes", "Random bytes given."), driver: RANDOM },
];

function deviceCounter(name: string, field: keyof DeviceCounters, help: string): DeviceFamily {
  return { name: `stratovirt_device_${name}`, type: "counter", help, field };
}

function deviceFamilies({ core, devices }: Assembly, config: Config): Family[] {
  const counted = config.devices.flatMap(({ id, driver }) => {
    const device = devices.get(id);
    return device === undefined ? [] : [{ id, driver, counters: countersOf(core, device) }];
  });
  return DEVICE_FAMILIES.map(({ name, type, help, field, driver: wanted }) => ({
    name,
    type,
    help,
    samples: counted
      .filter(({ driver }) => wanted === undefined || driver === wanted)
      .map(({ id, driver, counters }) => ({
        labels: { device: id, driver },
        value: counters[field],
      })),
  }));
}

function countersOf(core: Core, device: DeviceId): DeviceCounters {
  const { interruptCount, faultCount, errorCount } = core.deviceInfo(device);
  return { ...core.deviceMetrics(device), interruptCount, faultCount, errorCount };
}

function balloonFamilies({ core, devices }: Assembly, config: Config): Family[] {
  const found = config.devices.find(({ driver }) => driver === "virtio-balloon-device");
  const device = found === undefined ? undefined : devices.get(found.id);
  if (device === undefined) return [];
  const { targetPageCount, actualPageCount, releasedPageCount } = core.deviceMetrics(device);
  const size = CONSTANTS.balloonPageSize;
  return [
    gauge("stratovirt_balloon_target_bytes", "What is asked for.", targetPageCount * size),
    gauge("stratovirt_balloon_actual_bytes", "What the guest gave up.", actualPageCount * size),
    {
      name: "stratovirt_balloon_released_bytes_total",
      type: "counter",
      help: "Memory given back to the host so far.",
      samples: [{ value: releasedPageCount * size }],
    },
  ];
}

const QMP_HELP: Readonly<Record<keyof QmpCounters, readonly [string, string]>> = {
  connections: ["connections", "Clients that were served."],
  refusedConnections: ["refused_connections", "Clients that came while another was there."],
  commands: ["commands", "Commands received."],
  errors: ["errors", "Commands that were answered with an error."],
  events: ["events", "Events sent."],
};

function qmpFamilies(sockets: readonly Readonly<QmpCounters>[]): Family[] {
  const names = Object.keys(QMP_HELP) as (keyof QmpCounters)[];
  return names.map((field) => {
    const [name, help] = QMP_HELP[field];
    const value = sockets.reduce((sum, counters) => sum + counters[field], 0);
    return { name: `stratovirt_qmp_${name}_total`, type: "counter", help, samples: [{ value }] };
  });
}

/** The names that Prometheus' own client libraries use. */
function processFamilies(): Family[] {
  const status = readStatus();
  return [
    field(status, /^VmRSS:\s*(\d+) kB/m, {
      name: "process_resident_memory_bytes",
      help: "Resident memory.",
      unit: 1024,
    }),
    field(status, /^Threads:\s*(\d+)/m, {
      name: "process_threads",
      help: "Threads of this process.",
      unit: 1,
    }),
    gauge(
      "process_start_time_seconds",
      "When the runtime of this process was started, since 1970.",
      performance.timeOrigin / 1000,
    ),
  ];
}

/** proc(5); a jail may have no /proc. */
function readStatus(): string {
  try {
    return readFileSync("/proc/self/status", "latin1");
  } catch {
    return "";
  }
}

function field(
  status: string,
  pattern: RegExp,
  { name, help, unit }: { readonly name: string; readonly help: string; readonly unit: number },
): Family {
  const found = pattern.exec(status)?.[1];
  const samples: Sample[] = found === undefined ? [] : [{ value: Number(found) * unit }];
  return { name, type: "gauge", help, samples };
}

function gauge(name: string, help: string, value: number): Family {
  return { name, type: "gauge", help, samples: [{ value }] };
}
