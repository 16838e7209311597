// The life of one machine: runs, pauses, ends, and says so. Implements what QMP acts on.

import { ParkReason } from "../core/abi.gen.ts";
import { type Doorbell, listenToDoorbell, type NewsName } from "../core/doorbell.ts";
import { processStartedNs } from "../core/static_program.ts";
import { UserError } from "../errors.ts";
import type { Log } from "../host/log.ts";
import type { Trace } from "../host/trace.ts";
import type { Config } from "../options/config.ts";
import type {
  BootTimes,
  CpuInfo,
  DescriptorChannel,
  MachineControl,
  MigrationState,
  QmpEvent,
  RunState,
} from "../qmp/machine_control.ts";
import { NamedDescriptors } from "../qmp/named_descriptors.ts";
import { tracePoint } from "../trace_point.ts";
import type { Assembly } from "./assemble.ts";
import { BackEndWatch } from "./back_end_watch.ts";
import { Balloon } from "./balloon.ts";
import { BootClock, describeBootTimes } from "./boot_times.ts";
import { Channels } from "./channels.ts";
import { ChardevWatch } from "./chardev_watch.ts";
import { describeMemory } from "./describe_memory.ts";
import { DeviceWatch } from "./device_watch.ts";
import { HotSlots } from "./hot_slots.ts";
import type { Saving } from "./snapshot/saving.ts";
import { describeExits, describeFailure } from "./vcpu_report.ts";

/** How a machine ended: SHUTDOWN's reason (QEMU's names), and the exit code of the process. */
export interface Ending {
  readonly reason: string;
  readonly byGuest: boolean;
  readonly exitCode: 0 | 1;
  /** For the log. */
  readonly sentence: string;
}

export class Machine implements MachineControl {
  readonly #assembly: Assembly;
  readonly #config: Config;
  readonly #log: Log;
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #watch: DeviceWatch;
  readonly #backEnds: BackEndWatch;
  readonly #chardevs: ChardevWatch;
  readonly #balloon: Balloon | undefined;
  readonly #bootClock: BootClock;
  readonly #channels: Channels;
  readonly #hotSlots: HotSlots | undefined;
  readonly descriptors = new NamedDescriptors();
  #doorbell: Doorbell | undefined;
  #state: RunState = "paused";
  #trace: Trace | undefined;
  #saving: Saving | undefined;
  /** Whether the guest ran before it was saved, and nobody has stopped it since. */
  #resumesAfterSave = false;
  #hasStarted = false;

  private constructor(assembly: Assembly, config: Config, log: Log) {
    this.#assembly = assembly;
    this.#config = config;
    this.#log = log;
    this.#watch = new DeviceWatch(assembly.core, assembly.devices, log);
    this.#backEnds = new BackEndWatch(assembly.core, config, assembly.devices, log);
    this.#chardevs = new ChardevWatch(assembly.core, assembly.chardevs.values(), log);
    this.#balloon = this.#findBalloon();
    this.#channels = new Channels(assembly.core);
    this.#hotSlots = this.#findHotSlots();
    this.#bootClock = new BootClock(assembly.core.clockNow(), processStartedNs);
  }

  /** Takes over an assembled machine, still paused; gives it back to the host if that fails. */
  static async create(assembly: Assembly, config: Config, log: Log): Promise<Machine> {
    const machine = new Machine(assembly, config, log);
    try {
      machine.#doorbell = await listenToDoorbell(assembly.core, (names) => machine.#onNews(names));
      return machine;
    } catch (error) {
      machine.close();
      throw error;
    }
  }

  /** Resolves when the machine has ended; its threads run until `close`. */
  get ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  /** Trace events that are on already; the machine has them reach the log. */
  useTrace(trace: Trace): void {
    this.#trace = trace;
    const ids = [...this.#assembly.devices].map(([name, id]) => [id, name] as const);
    trace.nameDevices(new Map(ids));
  }

  async trace(): Promise<Trace> {
    const { Trace } = await import("../host/trace.ts");
    const trace = this.#trace ?? new Trace(this.#log);
    if (this.#trace === undefined) this.useTrace(trace);
    return trace;
  }

  /** Resolves when the clients are there that the guest's start waits for, or it has ended. */
  async untilClients(): Promise<void> {
    await Promise.race([this.#chardevs.untilComplete(), this.ended]);
  }

  /**
   * Starts the guest for the first time, without an event. A client of QMP that starts, ends or
   * saves it was quicker.
   */
  start(): void {
    if (this.#state !== "paused" || this.#hasStarted) return;
    if (this.#saving?.isActive) this.#resumesAfterSave = true;
    if (this.#saving?.isActive || this.migration().status === "completed") return;
    this.#hasStarted = true;
    this.#setState("running");
    this.#bootClock.guestStarts();
    this.#assembly.core.resumeVcpus();
  }

  #setState(state: RunState): void {
    this.#state = state;
    tracePoint("vm_state", { state });
  }

  /** Gives everything back to the host. */
  close(): void {
    this.#balloon?.close();
    this.#doorbell?.close();
    this.descriptors.closeAll();
    this.#chardevs.finish();
    this.#watch.finish();
    this.#assembly.resources.close();
    this.#saving?.close();
    this.#trace?.close();
  }

  status(): RunState {
    return this.#state;
  }

  pause(): void {
    this.#resumesAfterSave = false;
    if (this.#state !== "running") return;
    this.#assembly.core.pauseVcpus();
    this.#setState("paused");
    this.#emit({ name: "STOP" });
  }

  resume(): void {
    if (this.#state !== "paused") return;
    if (this.#saving?.isActive) {
      throw new UserError(
        "The machine is being saved; it can go on when query-migrate says that this has ended, " +
          "or after migrate_cancel.",
      );
    }
    this.#hasStarted = true;
    this.#setState("running");
    this.#bootClock.guestStarts();
    this.#emit({ name: "RESUME" });
    this.#assembly.core.resumeVcpus();
  }

  quit(): void {
    this.end({
      reason: "host-qmp-quit",
      byGuest: false,
      exitCode: 0,
      sentence: "the machine was ended by quit",
    });
  }

  reset(): void {
    this.end({
      reason: "host-qmp-system-reset",
      byGuest: false,
      exitCode: 0,
      sentence: "the machine was reset from outside, which ends a microvm",
    });
  }

  powerdown(): void {
    this.end({
      reason: "host-qmp-quit",
      byGuest: false,
      exitCode: 0,
      sentence: "the machine was powered down from outside, which ends a microvm",
    });
  }

  /** Ends the machine once; later reasons are ignored. */
  end(ending: Ending): void {
    if (this.#state === "shutdown") return;
    this.#setState("shutdown");
    tracePoint("machine_end", { reason: ending.reason });
    this.#log.info(ending.sentence);
    this.#logExits();
    this.#emit({ name: "SHUTDOWN", data: { guest: ending.byGuest, reason: ending.reason } });
    this.#ended.resolve(ending);
  }

  cpus(): readonly CpuInfo[] {
    const { cpu } = this.#config;
    const cores = cpu.cores * cpu.clusters;
    return Array.from({ length: cpu.maxCount }, (_, index) => ({
      threadId: index % cpu.threads,
      coreId: Math.floor(index / cpu.threads) % cores,
      dieId: Math.floor(index / (cpu.threads * cores)) % cpu.dies,
      socketId: Math.floor(index / (cpu.threads * cores * cpu.dies)),
      hostThreadId: this.#hostThreadId(index),
      isPlugged: index < cpu.count,
    }));
  }

  #hostThreadId(index: number): number | undefined {
    if (index >= this.#assembly.vcpuCount) return undefined;
    return this.#assembly.core.vcpuInfo(index).threadId;
  }

  iothreads(): readonly { readonly id: string; readonly hostThreadId: number }[] {
    return [...this.#assembly.iothreads].map(([id, index]) => ({
      id,
      hostThreadId: this.#assembly.core.threadId(index),
    }));
  }

  ptys(): readonly { readonly label: string; readonly filename: string }[] {
    return [...this.#assembly.chardevs.values()].flatMap(({ id, ptyPath }) =>
      ptyPath === undefined ? [] : [{ label: id, filename: ptyPath }],
    );
  }

  balloon(): Balloon | undefined {
    return this.#balloon;
  }

  #findBalloon(): Balloon | undefined {
    const { devices, memory } = this.#config;
    const { core, devices: ids } = this.#assembly;
    const found = devices.find(({ driver }) => driver === "virtio-balloon-device");
    const device = found === undefined ? undefined : ids.get(found.id);
    if (device === undefined) return undefined;
    return new Balloon({
      core,
      device,
      memoryBytes: memory.sizeBytes,
      onChange: (actual) => this.#emit({ name: "BALLOON_CHANGED", data: { actual } }),
    });
  }

  bootTimes(): BootTimes {
    const { core, debugPort } = this.#assembly;
    const none = { kernelEnteredNs: 0, bootCompleteNs: 0 };
    return this.#bootClock.times(debugPort === undefined ? none : core.deviceMarks(debugPort));
  }

  logMemory(): void {
    for (const line of describeMemory(this.#assembly)) this.#log.info(line);
  }

  readMemory(guestAddress: number, size: number): Uint8Array | undefined {
    const { core, ram } = this.#assembly;
    const end = guestAddress + size;
    const isRam = ram.some(
      (each) => guestAddress >= each.address && end <= each.address + each.size,
    );
    return isRam ? core.readMemory(guestAddress, size) : undefined;
  }

  hotReplace(): HotSlots | undefined {
    return this.#hotSlots;
  }

  #findHotSlots(): HotSlots | undefined {
    const { core, resources, devices, hotSlots: slots } = this.#assembly;
    if (slots.length === 0) return undefined;
    return new HotSlots({
      ...{ core, resources, devices, slots, config: this.#config },
      onDeleted: (id) => this.#emit({ name: "DEVICE_DELETED", data: { device: id, path: id } }),
    });
  }

  openChannel(fd: number, onReadable: () => void): DescriptorChannel {
    return this.#channels.open(fd, onReadable);
  }

  async migrate(folder: string): Promise<void> {
    const { Saving } = await import("./snapshot/saving.ts");
    if (this.#saving?.isActive) {
      throw new UserError(
        "The machine is being saved already; wait for query-migrate to say that this has ended.",
      );
    }
    if (this.#state === "shutdown") throw new UserError("The machine has ended.");
    const saving = new Saving({ config: this.#config, machine: this.#assembly, folder });
    const wasRunning = this.#state === "running";
    this.pause();
    this.#saving = saving;
    this.#resumesAfterSave = wasRunning;
    try {
      saving.start();
    } catch (error) {
      this.#endSave();
      throw error;
    }
  }

  migration(): MigrationState {
    return this.#saving?.state ?? { status: "none" };
  }

  cancelMigration(): void {
    this.#saving?.cancel();
  }

  /** A machine that could not be saved goes on. */
  #endSave(): void {
    const { status, sentence } = this.migration();
    if (sentence !== undefined) this.#log.error(sentence);
    this.#log.info(`the machine's save has ended: ${status}`);
    if (status !== "completed" && this.#resumesAfterSave) this.resume();
    this.#resumesAfterSave = false;
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #emit(event: QmpEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #onNews(names: readonly NewsName[]): void {
    for (const name of names) {
      switch (name) {
        case "park":
          this.#onPark();
          break;
        case "consoleQuit":
          this.end({
            reason: "host-ui",
            byGuest: false,
            exitCode: 0,
            sentence: "the user left the console",
          });
          break;
        case "device":
          this.#watch.onNews();
          this.#backEnds.report();
          this.#balloon?.onNews();
          break;
        case "channel":
          this.#channels.onNews();
          break;
        case "migration":
          if (this.#saving?.onNews() === "ended") this.#endSave();
          break;
        case "chardev":
          this.#chardevs.report();
          break;
        case "bootMark":
          this.#log.info(describeBootTimes(this.bootTimes()));
          break;
        case "trace":
          this.#trace?.drain();
          break;
      }
    }
  }

  #logExits(): void {
    for (let index = 0; index < this.#assembly.vcpuCount; index += 1) {
      this.#log.debug(describeExits(this.#assembly.core, index));
    }
  }

  #onPark(): void {
    for (let index = 0; index < this.#assembly.vcpuCount; index += 1) {
      const info = this.#assembly.core.vcpuInfo(index);
      if (info.park !== ParkReason.none) this.end(this.#endingOf(index, info.park as ParkReason));
    }
  }

  #endingOf(vcpu: number, reason: ParkReason): Ending {
    if (reason !== ParkReason.vcpuFailed) return guestEnding(reason);
    return {
      reason: "host-error",
      byGuest: false,
      exitCode: 1,
      sentence: describeFailure(this.#assembly.core, vcpu),
    };
  }
}

/** How a machine ends that its guest ended. */
export function guestEnding(reason: number): Ending {
  const guest = { byGuest: true, exitCode: 0 } as const;
  switch (reason) {
    case ParkReason.powerOff:
      return { ...guest, reason: "guest-shutdown", sentence: "the guest switched itself off" };
    case ParkReason.tripleFault:
      return { ...guest, reason: "guest-reset", sentence: "the guest had a triple fault" };
    default:
      return { ...guest, reason: "guest-reset", sentence: "the guest asked for a reset" };
  }
}
