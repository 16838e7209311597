// One core: the handle of a machine's data plane and its calls as methods. The only class that
// talks to the library; it holds one native handle and no guest memory.

import {
  AccessParamsLayout,
  BalloonInfoLayout,
  type BlkParamsLayout,
  CapabilitiesLayout,
  ChardevParamsLayout,
  CONSTANTS,
  CoreParamsLayout,
  DeviceInfoLayout,
  DeviceMetricsLayout,
  DeviceParamsLayout,
  EntryStateLayout,
  FailureLayout,
  LoadParamsLayout,
  MarksLayout,
  MemoryParamsLayout,
  MemoryPolicy,
  type ModelKind,
  RegisterDumpLayout,
  RouteLayout,
  type Space,
  Status,
  type SYMBOLS,
  ThreadParamsLayout,
  TopologyLayout,
  TransferParamsLayout,
  VcpuInfoLayout,
  WindowParamsLayout,
} from "./abi.gen.ts";
import { CoreError } from "./error.ts";
import { type Library, loadLibrary } from "./library.ts";
import type { StructLayout, StructValue } from "./struct.ts";
import { decode, encode, encodeArray } from "./struct.ts";

export type DeviceId = number;
export type BlkParams = StructValue<typeof BlkParamsLayout>;
export type DeviceMetrics = StructValue<typeof DeviceMetricsLayout>;
export type BalloonInfo = StructValue<typeof BalloonInfoLayout>;
export type NewMemory = Pick<MemoryParams, "guestAddress" | "size"> & Partial<MemoryParams>;
export type NewChardev = Partial<ChardevParams>;
export type VcpuInfo = StructValue<typeof VcpuInfoLayout>;
export type Window = StructValue<typeof WindowParamsLayout>;
export type Route = StructValue<typeof RouteLayout>;
export type Topology = StructValue<typeof TopologyLayout>;
export type EntryRegisters = StructValue<typeof EntryStateLayout>;

export interface NewDevice {
  readonly model: ModelKind;
  readonly gsi?: number;
  readonly chardev?: number;
  readonly iothread?: number;
  /** The model's own parameter struct, encoded. */
  readonly details?: Uint8Array;
}

type ChardevParams = StructValue<typeof ChardevParamsLayout>;
type MemoryParams = StructValue<typeof MemoryParamsLayout>;

const PLAIN_MEMORY: Omit<MemoryParams, "guestAddress" | "size"> = {
  spanSize: 0,
  fd: -1,
  offset: 0,
  shared: 0,
  dump: 1,
  reserve: 0,
  prealloc: 0,
  policy: MemoryPolicy.default,
  nodesLow: 0n,
  nodesHigh: 0n,
};

const NO_CHARDEV: ChardevParams = {
  inputFd: -1,
  outputFd: -1,
  listenFd: -1,
  clientFd: -1,
  peerFd: -1,
  escape: 0,
};

const SYSTEM_FD_NONE = -1;

type Argument = number | Uint8Array;
type Inner<A> = A extends readonly [Argument, ...infer Rest extends Argument[]] ? Rest : never;
type ButLast<A> = A extends readonly [...infer Rest extends Argument[], Argument] ? Rest : never;
/** What a call takes beside the core's handle. */
type RestOf<K extends keyof Library> = Inner<Parameters<Library[K]>>;
/** Calls that take a handle, an id and room for a struct. */
type CallOfId = {
  [K in keyof Library]: (typeof SYMBOLS)[K]["args"] extends readonly ["ptr", "u32" | "i32", "ptr"]
    ? K
    : never;
}[keyof Library];
type NumberOf = "getUint32" | "getInt32" | "getBigUint64";

/** Descriptors of a VM with its interrupt chips and of its first vCPU. */
export interface EarlyVm {
  readonly vmFd: number;
  readonly vcpuFd: number;
}
const NO_EARLY_VM: EarlyVm = { vmFd: -1, vcpuFd: -1 };

export class Core {
  readonly #library: Library;
  #handle: number;

  private constructor(library: Library, handle: number) {
    this.#library = library;
    this.#handle = handle;
  }

  /**
   * `systemFd` is an open /dev/kvm; undefined makes a machine without KVM (accel=test). `early` is
   * a VM that exists already.
   */
  static create(systemFd?: number, early: EarlyVm = NO_EARLY_VM): Core {
    const library = loadLibrary();
    const handle = new Uint8Array(8);
    const failure = new Uint8Array(FailureLayout.size);
    const params = encode(CoreParamsLayout, {
      systemFd: systemFd ?? SYSTEM_FD_NONE,
      ...early,
      handle,
      failure,
    });
    const status = library.core_create(params) as Status;
    if (status !== Status.ok) {
      throw new CoreError("core_create", status, causeOf(failure));
    }
    return new Core(library, Number(new DataView(handle.buffer).getBigUint64(0, true)));
  }

  /** Ends all threads and gives everything back; no other call may follow. */
  destroy(): void {
    if (this.#handle === 0) return;
    this.#library.core_destroy(this.#handle);
    this.#handle = 0;
  }

  /** The handle for a call. */
  get #live(): number {
    if (this.#handle === 0) throw new Error("this core was destroyed");
    return this.#handle;
  }

  #check(call: keyof Library, status: number): void {
    if (status === Status.ok) return;
    const failure = new Uint8Array(FailureLayout.size);
    this.#library.core_failure(this.#live, failure);
    throw new CoreError(call, status as Status, causeOf(failure));
  }

  /** Makes a call that takes the core's handle first. Throws a CoreError unless it answers ok. */
  call<K extends keyof Library>(name: K, ...rest: RestOf<K>): void {
    const call = this.#library[name] as (...args: readonly Argument[]) => number;
    this.#check(name, call(this.#live, ...rest));
  }

  /** Makes a call whose last argument takes a number; returns that. */
  ask<K extends keyof Library>(kind: NumberOf, name: K, ...rest: ButLast<RestOf<K>>): number {
    const out = new Uint8Array(8);
    this.call(name, ...([...rest, out] as unknown as RestOf<K>));
    return Number(new DataView(out.buffer)[kind](0, true));
  }

  /** Makes a call of an id whose last argument takes a struct; returns that. */
  read<L extends StructLayout>(name: CallOfId, id: number, layout: L): StructValue<L> {
    const out = new Uint8Array(layout.size);
    this.call(name, id, out);
    return decode(layout, out);
  }

  capabilities(): StructValue<typeof CapabilitiesLayout> {
    const out = new Uint8Array(CapabilitiesLayout.size);
    this.call("vm_capabilities", out);
    return decode(CapabilitiesLayout, out);
  }

  /** PIC, IOAPIC and local APICs in the kernel; before the first vCPU. */
  createInterruptChips(): void {
    this.call("vm_create_interrupt_chips");
  }

  /** The timer of a PC; after the interrupt chips. */
  createPit(): void {
    this.call("vm_create_pit");
  }

  /** Replaces all interrupt routes; those of a PC are there without. */
  setRoutes(routes: readonly Route[]): void {
    const bytes = encodeArray(RouteLayout, routes);
    this.call("vm_set_routes", bytes, routes.length);
  }

  /** Private anonymous memory but for what is given. */
  addMemory(memory: NewMemory): void {
    this.call("memory_add", encode(MemoryParamsLayout, { ...PLAIN_MEMORY, ...memory }));
  }

  readMemory(guestAddress: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    const params = { guestAddress, bytes, size };
    this.call("memory_read", encode(TransferParamsLayout, params));
    return bytes;
  }

  writeMemory(guestAddress: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; done += CONSTANTS.transferSizeMax) {
      const part = bytes.subarray(done, done + CONSTANTS.transferSizeMax);
      const params = { guestAddress: guestAddress + done, bytes: part, size: part.length };
      this.call("memory_write", encode(TransferParamsLayout, params));
    }
  }

  /** Reads a part of a file straight into guest memory. */
  loadMemory(params: StructValue<typeof LoadParamsLayout>): void {
    this.call("memory_load", encode(LoadParamsLayout, params));
  }

  /** Starts an iothread; the kernel shows at most 15 bytes of its name. */
  createThread(name: string): number {
    const bytes = new TextEncoder().encode(name);
    return this.ask(
      "getUint32",
      "thread_create",
      encode(ThreadParamsLayout, { name: bytes, nameSize: bytes.length }),
    );
  }

  threadId(index: number): number {
    return this.ask("getUint32", "thread_id", index);
  }

  /** A character back end; what is not given is absent. */
  createChardev(given: NewChardev): number {
    const params = { ...NO_CHARDEV, ...given };
    return this.ask("getUint32", "chardev_create", encode(ChardevParamsLayout, params));
  }

  createDevice(device: NewDevice): DeviceId {
    const details = device.details ?? new Uint8Array(0);
    return this.ask(
      "getUint32",
      "device_create",
      encode(DeviceParamsLayout, {
        model: device.model,
        gsi: device.gsi ?? CONSTANTS.noLine,
        chardev: device.chardev ?? CONSTANTS.noChardev,
        iothread: device.iothread ?? 0,
        details,
        detailsSize: details.length,
      }),
    );
  }

  destroyDevice(id: DeviceId): void {
    this.call("device_destroy", id);
  }

  deviceInfo(id: DeviceId): StructValue<typeof DeviceInfoLayout> {
    return this.read("device_info", id, DeviceInfoLayout);
  }

  /** What a virtio device has done so far. */
  deviceMetrics(id: DeviceId): DeviceMetrics {
    return this.read("device_metrics", id, DeviceMetricsLayout);
  }

  /** Asks a balloon's guest to give up so many pages altogether. */
  setBalloon(id: DeviceId, pageCount: number): void {
    this.call("device_set_balloon", id, pageCount);
  }

  /** What a balloon holds, and whether that changed since the last call. */
  balloon(id: DeviceId): BalloonInfo {
    return this.read("device_balloon", id, BalloonInfoLayout);
  }

  /** When the guest wrote its boot-time marks; 0 for those it did not. */
  deviceMarks(id: DeviceId): StructValue<typeof MarksLayout> {
    return this.read("device_marks", id, MarksLayout);
  }

  /** Replaces the whole address map. */
  publishMap(windows: readonly Window[]): void {
    const bytes = encodeArray(WindowParamsLayout, windows);
    this.call("map_publish", bytes, windows.length);
  }

  /** One register read of 1 to 8 bytes, as a vCPU would do it. */
  busRead(space: Space, address: number, size: number): bigint {
    const access = encode(AccessParamsLayout, { space, size, address, value: 0n });
    this.call("bus_read", access);
    return decode(AccessParamsLayout, access).value;
  }

  /** Returns the ParkReason that the write asks for; 0 for none. */
  busWrite(space: Space, address: number, size: number, value: bigint): number {
    const access = encode(AccessParamsLayout, { space, size, address, value });
    this.call("bus_write", access);
    return Number(decode(AccessParamsLayout, access).value);
  }

  createVcpu(topology: Topology): void {
    this.call("vcpu_create", encode(TopologyLayout, topology));
  }

  /** Registers of the bootstrap processor at its first instruction. */
  setEntry(entry: EntryRegisters): void {
    this.call("vcpu_set_entry", encode(EntryStateLayout, entry));
  }

  /** Starts the vCPU threads, paused. */
  startVcpus(): void {
    this.call("vcpus_start");
  }

  /** Confines all threads for good; `params` is an encoded SeccompParams. */
  installSeccomp(params: Uint8Array): void {
    this.call("seccomp_install", params);
  }

  resumeVcpus(): void {
    this.call("vcpus_resume");
  }

  /** Returns when every vCPU is at rest; throws after two seconds. */
  pauseVcpus(): void {
    this.call("vcpus_pause");
  }

  vcpuInfo(index: number): VcpuInfo {
    return this.read("vcpu_info", index, VcpuInfoLayout);
  }

  vcpuRegisters(index: number): StructValue<typeof RegisterDumpLayout> {
    return this.read("vcpu_registers", index, RegisterDumpLayout);
  }

  /** Where a filter's violation is told from now on. */
  setViolationLog(fd: number): void {
    this.#check("seccomp_set_log", this.#library.seccomp_set_log(fd));
  }

  answerPark(index: number): void {
    this.call("park_answer", index);
  }

  /** The readable end of the doorbell, which the caller closes. */
  takeDoorbellFd(): number {
    return this.ask("getInt32", "doorbell_fd");
  }

  /** Bits of News since the last call, and wake-ups so far. */
  takeNews(): { readonly bits: number; readonly ringCount: number } {
    const bits = new Uint8Array(4);
    const rings = new Uint8Array(8);
    this.call("doorbell_take", bits, rings);
    return {
      bits: new DataView(bits.buffer).getUint32(0, true),
      ringCount: Number(new DataView(rings.buffer).getBigUint64(0, true)),
    };
  }

  /** Virtual time in nanoseconds with accel=test, else the host's monotonic clock. */
  clockNow(): number {
    return this.ask("getBigUint64", "clock_now");
  }

  /** Moves virtual time forward; returns the time after. */
  moveClock(targetNs: number): number {
    return this.ask("getBigUint64", "clock_move", targetNs);
  }
}

/** APIC ids of the first `count` vCPUs. */
export function apicIds(topology: Topology, count: number): number[] {
  const library = loadLibrary();
  const params = encode(TopologyLayout, topology);
  const out = new Uint8Array(4);
  return Array.from({ length: count }, (_, index) => {
    library.cpu_apic_id(params, index, out);
    return new DataView(out.buffer).getUint32(0, true);
  });
}

function causeOf(failure: Uint8Array): ConstructorParameters<typeof CoreError>[2] {
  const value = decode(FailureLayout, failure);
  return {
    ...value,
    operation: value.operation as ConstructorParameters<typeof CoreError>[2]["operation"],
  };
}
