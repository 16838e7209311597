// A machine for QMP tests: it only keeps its state and sends events as a real one does.

import "../support/core_library.ts";
import { Core } from "../../src/core/core.ts";
import { listenToDoorbell } from "../../src/core/doorbell.ts";
import { Channels } from "../../src/machine/channels.ts";
import type {
  BalloonControl,
  BootTimes,
  DescriptorChannel,
  HotReplace,
  MachineControl,
  MigrationState,
  QmpEvent,
  RunState,
  TraceControl,
} from "../../src/qmp/machine_control.ts";
import { NamedDescriptors } from "../../src/qmp/named_descriptors.ts";

/** Sockets are received as by a real machine; one core serves the tests of a process. */
const core = Core.create();
const channels = new Channels(core);
await listenToDoorbell(core, () => channels.onNews());

export class FakeMachine implements MachineControl {
  readonly descriptors = new NamedDescriptors();
  state: RunState = "running";
  readonly calls: string[] = [];
  balloonControl: BalloonControl | undefined;
  readonly #listeners = new Set<(event: QmpEvent) => void>();

  status(): RunState {
    return this.state;
  }

  async pause(): Promise<void> {
    this.calls.push("pause");
    if (this.state === "paused") return;
    this.state = "paused";
    this.emit({ name: "STOP" });
    // The event comes first and the command ends later, as when vCPUs are waited for.
    await Promise.resolve();
  }

  resume(): void {
    this.calls.push("resume");
    if (this.state === "running") return;
    this.state = "running";
    this.emit({ name: "RESUME" });
  }

  quit(): void {
    this.calls.push("quit");
    this.state = "shutdown";
    this.emit({ name: "SHUTDOWN", data: { guest: false, reason: "host-qmp-quit" } });
  }

  reset(): void {
    this.calls.push("reset");
  }

  powerdown(): void {
    this.calls.push("powerdown");
  }

  cpus() {
    const place = { socketId: 0, dieId: 0, threadId: 0 };
    return [
      { ...place, coreId: 0, hostThreadId: 4242, isPlugged: true },
      { ...place, coreId: 1, hostThreadId: undefined, isPlugged: false },
    ];
  }

  iothreads() {
    return [{ id: "io1", hostThreadId: 77 }];
  }

  ptys() {
    return [{ label: "serial0", filename: "/dev/pts/9" }];
  }

  balloon(): BalloonControl | undefined {
    return this.balloonControl;
  }

  /** Gives the machine a balloon that reaches each size at once. */
  addBalloon(memoryBytes: number): void {
    let actual = memoryBytes;
    this.balloonControl = {
      pageSize: 4096,
      setTarget: (target) => {
        actual = Math.min(target, memoryBytes);
        this.emit({ name: "BALLOON_CHANGED", data: { actual } });
      },
      actualBytes: () => actual,
    };
  }

  bootTimes(): BootTimes {
    return {
      origin: "exec",
      steps: { "runtime-ready": 9400, "machine-built": 14200, "guest-started": 15100 },
    };
  }

  readonly traceStates = new Map([
    ["serial_read", false],
    ["virtio_blk_execute", false],
  ]);

  async trace(): Promise<TraceControl> {
    const names = (pattern: string) =>
      [...this.traceStates.keys()].filter((name) => new RegExp(pattern).test(name));
    return {
      states: (pattern) =>
        names(pattern).map((name) => ({ name, state: this.traceStates.get(name) ?? false })),
      set: (pattern, state) => {
        for (const name of names(pattern)) this.traceStates.set(name, state === "on");
        return names(pattern).length;
      },
    };
  }

  logMemory(): void {
    this.calls.push("logMemory");
  }

  readMemory(guestAddress: number, size: number): Uint8Array | undefined {
    const bytes = Uint8Array.from({ length: size }, (_, index) => 0xa0 + index);
    return guestAddress + size <= 0x1000_0000 ? bytes : undefined;
  }

  /** Slots that take everything; undefined for a machine without. */
  slots: HotReplace | undefined = {
    slotCounts: { block: 4, network: 2 },
    addDrive: (drive) => this.#note("addDrive", drive),
    removeDrive: (id) => this.#note("removeDrive", id),
    addNetdev: (netdev) => this.#note("addNetdev", netdev),
    removeNetdev: (id) => this.#note("removeNetdev", id),
    addDevice: (device) => this.#note("addDevice", device),
    removeDevice: (id) => {
      this.#note("removeDevice", id);
      this.emit({ name: "DEVICE_DELETED", data: { device: id, path: id } });
    },
  };

  hotReplace(): HotReplace | undefined {
    return this.slots;
  }

  #note(call: string, what: unknown): void {
    this.calls.push(`${call} ${JSON.stringify(what)}`);
  }

  openChannel(fd: number, onReadable: () => void): DescriptorChannel {
    return channels.open(fd, onReadable);
  }

  migrationState: MigrationState = { status: "none" };

  async migrate(folder: string): Promise<void> {
    this.calls.push(`migrate ${folder}`);
    if (this.migrationState.status === "active") throw new Error("It is being saved already.");
    await this.pause();
    this.migrationState = { status: "active", ram: { writtenBytes: 0, totalBytes: 4096 } };
  }

  migration(): MigrationState {
    return this.migrationState;
  }

  cancelMigration(): void {
    this.calls.push("cancelMigration");
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  emit(event: QmpEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
