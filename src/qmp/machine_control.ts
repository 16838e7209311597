// What QMP needs of a machine. The machine implements it; commands act on nothing else.

import type { DriveConfig } from "../options/config.ts";
import type { HotDevice, SlotKind } from "../options/hot_replace.ts";
import type { TapNetdev } from "../options/netdevs.ts";
import type { NamedDescriptors } from "./named_descriptors.ts";

export type RunState = "running" | "paused" | "shutdown";

/** An event as it goes to clients; the server adds the timestamp. */
export interface QmpEvent {
  readonly name: EventName;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Every event that a machine can send, for query-events. */
export const eventNames = [
  "STOP",
  "RESUME",
  "RESET",
  "SHUTDOWN",
  "POWERDOWN",
  "BALLOON_CHANGED",
  "DEVICE_DELETED",
] as const;
export type EventName = (typeof eventNames)[number];

/** One virtual processor: its place in the topology, and its thread where it is online. */
export interface CpuInfo {
  readonly socketId: number;
  readonly dieId: number;
  readonly coreId: number;
  readonly threadId: number;
  /** Kernel thread id; undefined for a processor that is not plugged or not started. */
  readonly hostThreadId: number | undefined;
  readonly isPlugged: boolean;
}

/** The balloon of a machine: sizes are bytes of memory that the guest is left with. */
export interface BalloonControl {
  readonly pageSize: number;
  /** Asks the guest to come to this size; sends BALLOON_CHANGED with it. */
  setTarget(memoryBytes: number): void;
  actualBytes(): number;
}

/** The trace events of the process, by regular expressions for their names. */
export interface TraceControl {
  /** Throws a UserError for what is no regular expression, as `set` does. */
  states(pattern: string): readonly { readonly name: string; readonly state: boolean }[];
  /** Returns how many events fit. */
  set(pattern: string, state: "on" | "off"): number;
}

/** Microseconds since `origin`; a step that is not reached is not there. */
export interface BootTimes {
  /** "runtime" where the host does not tell when the process was started. */
  readonly origin: "exec" | "runtime";
  readonly steps: {
    readonly "runtime-ready"?: number;
    readonly "machine-built"?: number;
    readonly "guest-started"?: number;
    readonly "kernel-entered"?: number;
    readonly "boot-complete"?: number;
  };
}

/** A client's socket whose bytes may come with descriptors. */
export interface DescriptorChannel {
  /**
   * What is there now, without waiting; undefined when nothing is, no bytes when the stream has
   * ended. The bytes are valid until the next call, the descriptors are the caller's.
   */
  receive(): { readonly bytes: Uint8Array; readonly descriptors: readonly number[] } | undefined;
  close(): void;
}

/** In upstream's words (behaviour 5.3). */
export const migrationStatuses = [
  "none",
  "setup",
  "active",
  "completed",
  "failed",
  "canceled",
] as const;

/** What became of the last attempt to save the machine. */
export interface MigrationState {
  readonly status: (typeof migrationStatuses)[number];
  /** Guest memory; holes count as written when they are passed. */
  readonly ram?: { readonly writtenBytes: number; readonly totalBytes: number };
  /** Why it failed. */
  readonly sentence?: string;
}

/**
 * Slots that get and lose their back ends while the machine runs. All throw a UserError, or a
 * QmpError, when something does not fit.
 */
export interface HotReplace {
  readonly slotCounts: Readonly<Record<SlotKind, number>>;
  addDrive(drive: DriveConfig): void;
  removeDrive(id: string): void;
  /** Takes over the netdev's descriptor, unless it throws. */
  addNetdev(netdev: TapNetdev): void;
  removeNetdev(id: string): void;
  addDevice(device: HotDevice): void;
  /** Sends DEVICE_DELETED. */
  removeDevice(id: string): void;
}

export interface MachineControl {
  /** Undefined on a machine without such slots. */
  hotReplace(): HotReplace | undefined;
  /** Descriptors that clients have sent. */
  readonly descriptors: NamedDescriptors;
  /** Receives on a socket, of which nobody else reads, until the channel is closed. */
  openChannel(fd: number, onReadable: () => void): DescriptorChannel;
  status(): RunState;
  /** Ends in "paused" and sends STOP if it was running; does nothing if it was paused. */
  pause(): void | Promise<void>;
  /** Ends in "running" and sends RESUME if it was paused; does nothing if it was running. */
  resume(): void | Promise<void>;
  /** Ends the machine: SHUTDOWN {guest: false, reason: "host-qmp-quit"}. */
  quit(): void | Promise<void>;
  /** Reset from outside. A microvm ends, as it has no reset. */
  reset(): void | Promise<void>;
  /** The power button. A microvm ends, as it has none. */
  powerdown(): void | Promise<void>;
  /** All possible processors in order of their index. */
  cpus(): readonly CpuInfo[];
  iothreads(): readonly { readonly id: string; readonly hostThreadId: number }[];
  /** The pseudo terminals: chardev id and the path to open. */
  ptys(): readonly { readonly label: string; readonly filename: string }[];
  /** Undefined on a machine without. */
  balloon(): BalloonControl | undefined;
  bootTimes(): BootTimes;
  /** Loaded when it is asked for. */
  trace(): Promise<TraceControl>;
  /** Writes RAM and windows of the address map to the log. */
  logMemory(): void;
  /** Bytes of guest memory, or undefined where there is none. */
  readMemory(guestAddress: number, size: number): Uint8Array | undefined;
  /**
   * Begins to save the machine to a folder, paused from now on; resolves when that is under way.
   * Throws a sentence when it cannot begin, with the machine as it was.
   */
  migrate(folder: string): Promise<void>;
  migration(): MigrationState;
  /** Ends what `migrate` began; does nothing when that has ended. */
  cancelMigration(): void;
  /** Calls back for each event from now on; the result ends that. */
  onEvent(listener: (event: QmpEvent) => void): () => void;
}
