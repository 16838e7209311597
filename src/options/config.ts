// What the user asked for, complete and checked: the only thing the machine reads. Plain data, so
// that it prints as JSON. Paths are as given: resolving them is up to whoever opens them.

import type { chardevVariants, serialVariants } from "./declarations/backends.ts";
import type { incomingVariants } from "./declarations/boot.ts";
import type { deviceVariants } from "./declarations/devices.ts";
import type { objectVariants } from "./declarations/objects.ts";
import type { NetdevConfig } from "./netdevs.ts";
import type { VariantValues } from "./schema.ts";
import type { SocketPlace } from "./socket_place.ts";
import type { CpuTopology } from "./topology.ts";
import type { BackEndConfig } from "./vhost_user.ts";

export interface MachineConfig {
  readonly type: "microvm" | "none";
  readonly accel: "kvm" | "test";
  readonly memShare: boolean;
  readonly dumpGuestCore: boolean;
  readonly acpi: boolean;
  readonly pit: boolean;
  /** Slots of disks and networks that are free are there, empty, and those taken can be emptied. */
  readonly replaceable: boolean;
}

export interface CpuConfig extends CpuTopology {
  /** Acts on aarch64 only. */
  readonly pmu: boolean;
}

export interface BootConfig {
  /** Always set for a microvm that boots. */
  readonly kernelPath: string | undefined;
  readonly initrdPath: string | undefined;
  /** The values of -append joined by one space; "" without. */
  readonly commandLine: string;
}

/** Where a machine comes from that does not boot. */
export type IncomingConfig = VariantValues<typeof incomingVariants, "transport">;

export interface DriveConfig {
  readonly id: string;
  readonly file: string;
  readonly readonly: boolean;
  /** O_DIRECT. */
  readonly direct: boolean;
  readonly aio: "native" | "io_uring" | "threads" | "off";
  readonly format: "raw";
  /** Whether what the guest discards is given back to the host. */
  readonly discard: boolean;
  /** What a write of nothing but zeroes becomes; "unmap" acts with `discard` only. */
  readonly detectZeroes: "off" | "on" | "unmap";
  /** Requests a second; 0 is no limit. */
  readonly iopsLimit: number;
}

/** A part of the guest's memory that comes from one place; zones follow each other. */
export interface MemoryZone {
  /** For sentences: "the guest's memory" or "the memory back end 'mem0'". */
  readonly what: string;
  readonly kind: "ram" | "file" | "memfd";
  /** A file or directory; set for the kind file alone. */
  readonly path: string | undefined;
  readonly sizeBytes: number;
  readonly share: boolean;
  readonly dump: boolean;
  readonly prealloc: boolean;
  readonly policy: "default" | "preferred" | "bind" | "interleave";
  readonly hostNodes: readonly number[];
}

export interface MemoryConfig {
  readonly sizeBytes: number;
  /** In the order of guest addresses, together `sizeBytes`. */
  readonly zones: readonly MemoryZone[];
}

export interface NumaNode {
  readonly id: number;
  readonly cpus: readonly number[];
  /** Its memory-backend object; a node may be without memory. */
  readonly memdev: string | undefined;
}

export interface NumaConfig {
  readonly nodes: readonly NumaNode[];
  /** A row from each node, in the order of `nodes`; 10 is local. */
  readonly distances: readonly (readonly number[])[];
}

/** What readVariant gives for an -object. */
export type ObjectValues = VariantValues<typeof objectVariants, "type">;

export type MemoryBackendValues = Extract<ObjectValues, { type: `memory-backend-${string}` }>;

export interface IothreadConfig {
  readonly id: string;
}

/** An -object rng-random. */
export interface RandomSourceConfig {
  readonly id: string;
  /** A character device. */
  readonly filename: string;
}

export type ChardevConfig = VariantValues<typeof chardevVariants, "backend">;

export type SerialValue = VariantValues<typeof serialVariants, "backend">;

type Resolved<T> = T extends { readonly driver: "vhost-user-blk-device" }
  ? // Without a number of queues its back end has a say in it.
    Omit<T, "id"> & { readonly id: string }
  : T extends { readonly id: unknown }
    ? Omit<T, "id" | "numQueues" | "mac" | "nr"> & { readonly id: string } & (T extends {
          readonly numQueues: unknown;
        }
          ? { readonly numQueues: number }
          : unknown) &
        (T extends { readonly mac: unknown } ? { readonly mac: string } : unknown) &
        (T extends { readonly nr: unknown } ? { readonly nr: number } : unknown)
    : T;

/** What readVariant gives for a device before its id and queue count are filled in. */
export type DeviceValues = VariantValues<typeof deviceVariants, "driver">;

/** A union over the supported drivers, discriminated by `driver`. */
export type DeviceConfig = Resolved<DeviceValues>;

export type QmpEndpoint = SocketPlace;

export interface ProcessConfig {
  /** "" when not given. */
  readonly name: string;
  /** Undefined logs to stderr. */
  readonly logFile: string | undefined;
  readonly daemonize: boolean;
  readonly pidfile: string | undefined;
  readonly seccomp: boolean;
  readonly startPaused: boolean;
  /** The unix socket that the machine connects to. */
  readonly modTestSocket: string | undefined;
  readonly trace: TraceConfig | undefined;
  /** The unix socket of the Prometheus endpoint. */
  readonly metricsSocket: string | undefined;
}

export interface TraceConfig {
  /** Regular expressions for names of events, one a line. */
  readonly file: string | undefined;
  readonly type: "all" | "events" | "scopes" | undefined;
  readonly backend: "log" | "ftrace";
}

/** An option that was accepted for libvirt and does nothing; worth a debug line. */
export interface IgnoredOption {
  readonly option: string;
  readonly values: readonly string[];
}

export interface Config {
  readonly machine: MachineConfig;
  readonly cpu: CpuConfig;
  readonly memory: MemoryConfig;
  readonly numa: NumaConfig | undefined;
  readonly boot: BootConfig;
  readonly incoming: IncomingConfig | undefined;
  readonly drives: readonly DriveConfig[];
  readonly netdevs: readonly NetdevConfig[];
  readonly devices: readonly DeviceConfig[];
  readonly iothreads: readonly IothreadConfig[];
  readonly randomSources: readonly RandomSourceConfig[];
  /** Sockets of processes that serve devices. */
  readonly backEnds: readonly BackEndConfig[];
  /** Also the one that a plain -serial makes; without `backEnds` and those that -mon took. */
  readonly chardevs: readonly ChardevConfig[];
  /** The serial port's chardev. */
  readonly serial: { readonly chardev: string } | undefined;
  readonly qmp: readonly QmpEndpoint[];
  readonly process: ProcessConfig;
  readonly ignored: readonly IgnoredOption[];
}
