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
  DeviceParamsLayout,
  DirectAlignmentLayout,
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
export type BalloonInfo = StructValue<typeof BalloonInfoLayout>;
export type NewMemory = Pick<MemoryParams, "guestAddress" | "size"> & Partial<MemoryParams>;
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

const SYSTEM_FD_NONE = -1;

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

  #send(
    call:
      | "memory_add"
      | "memory_read"
      | "memory_write"
      | "memory_load"
      | "vcpu_create"
      | "vcpu_set_entry"
      | "seccomp_install",
    params: Uint8Array,
  ): void {
    this.#check(call, this.#library[call](this.#live, params));
  }

  #create(call: "thread_create" | "chardev_create" | "device_create", params: Uint8Array): number {
    const out = new Uint8Array(4);
    this.#check(call, this.#library[call](this.#live, params, out));
    return new DataView(out.buffer).getUint32(0, true);
  }

  #read<L extends StructLayout>(
    call:
      | "vcpu_info"
      | "vcpu_registers"
      | "device_info"
      | "device_marks"
      | "device_balloon"
      | "host_direct_alignment",
    id: number,
    layout: L,
  ): StructValue<L> {
    const out = new Uint8Array(layout.size);
    this.#check(call, this.#library[call](this.#live, id, out));
    return decode(layout, out);
  }

  capabilities(): StructValue<typeof CapabilitiesLayout> {
    const out = new Uint8Array(CapabilitiesLayout.size);
    this.#check("vm_capabilities", this.#library.vm_capabilities(this.#live, out));
    return decode(CapabilitiesLayout, out);
  }

  /** PIC, IOAPIC and local APICs in the kernel; before the first vCPU. */
  createInterruptChips(): void {
    const status = this.#library.vm_create_interrupt_chips(this.#live);
    this.#check("vm_create_interrupt_chips", status);
  }

  /** The timer of a PC; after the interrupt chips. */
  createPit(): void {
    this.#check("vm_create_pit", this.#library.vm_create_pit(this.#handle));
  }

  /** Replaces all interrupt routes; those of a PC are there without. */
  setRoutes(routes: readonly Route[]): void {
    const bytes = encodeArray(RouteLayout, routes);
    this.#check("vm_set_routes", this.#library.vm_set_routes(this.#live, bytes, routes.length));
  }

  /** Private anonymous memory but for what is given. */
  addMemory(memory: NewMemory): void {
    this.#send("memory_add", encode(MemoryParamsLayout, { ...PLAIN_MEMORY, ...memory }));
  }

  /** A file in memory that nobody can resize: its descriptor, which the caller closes. */
  createMemoryFile(size: number): number {
    const out = new Uint8Array(4);
    this.#check("host_memory_file", this.#library.host_memory_file(this.#handle, size, out));
    return new DataView(out.buffer).getInt32(0, true);
  }

  readMemory(guestAddress: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    const params = { guestAddress, bytes, size };
    this.#send("memory_read", encode(TransferParamsLayout, params));
    return bytes;
  }

  writeMemory(guestAddress: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; done += CONSTANTS.transferSizeMax) {
      const part = bytes.subarray(done, done + CONSTANTS.transferSizeMax);
      const params = { guestAddress: guestAddress + done, bytes: part, size: part.length };
      this.#send("memory_write", encode(TransferParamsLayout, params));
    }
  }

  /** Reads a part of a file straight into guest memory. */
  loadMemory(params: StructValue<typeof LoadParamsLayout>): void {
    this.#send("memory_load", encode(LoadParamsLayout, params));
  }

  /** Starts an iothread; the kernel shows at most 15 bytes of its name. */
  createThread(name: string): number {
    const bytes = new TextEncoder().encode(name);
    return this.#create(
      "thread_create",
      encode(ThreadParamsLayout, { name: bytes, nameSize: bytes.length }),
    );
  }

  threadId(index: number): number {
    const out = new Uint8Array(4);
    this.#check("thread_id", this.#library.thread_id(this.#live, index, out));
    return new DataView(out.buffer).getUint32(0, true);
  }

  createChardev(params: StructValue<typeof ChardevParamsLayout>): number {
    return this.#create("chardev_create", encode(ChardevParamsLayout, params));
  }

  /** A listening socket for Zig to accept on; `address` is a sockaddr. */
  listen(address: Uint8Array): number {
    const out = new Uint8Array(4);
    const status = this.#library.host_listen(this.#live, address, address.length, out);
    this.#check("host_listen", status);
    return new DataView(out.buffer).getInt32(0, true);
  }

  /** Makes an open /dev/ptmx usable; returns the number of its other end in /dev/pts. */
  preparePty(fd: number): number {
    const out = new Uint8Array(4);
    this.#check("host_prepare_pty", this.#library.host_prepare_pty(this.#live, fd, out));
    return new DataView(out.buffer).getUint32(0, true);
  }

  /** Locks an open file against other machines until its descriptor is closed. */
  lockFile(fd: number, mode: "shared" | "exclusive"): void {
    const exclusive = mode === "exclusive" ? 1 : 0;
    this.#check("host_lock_file", this.#library.host_lock_file(this.#live, fd, exclusive));
  }

  /** What O_DIRECT needs of an open file, in bytes; 0 each when the kernel does not say. */
  directAlignment(fd: number): StructValue<typeof DirectAlignmentLayout> {
    return this.#read("host_direct_alignment", fd, DirectAlignmentLayout);
  }

  /** Ties an open /dev/net/tun to the interface of an ifreq, which the kernel completes. */
  attachTap(fd: number, request: Uint8Array): void {
    this.#check("host_attach_tap", this.#library.host_attach_tap(this.#handle, fd, request));
  }

  /** Fills an ifreq with name and flags of the interface behind a tap queue. */
  inspectTap(fd: number, request: Uint8Array): void {
    this.#check("host_inspect_tap", this.#library.host_inspect_tap(this.#handle, fd, request));
  }

  /** Makes a tap queue ready for a device; returns the offloads (TUN_F_…) that it can do. */
  prepareTap(fd: number): number {
    const out = new Uint8Array(4);
    this.#check("host_prepare_tap", this.#library.host_prepare_tap(this.#handle, fd, out));
    return new DataView(out.buffer).getUint32(0, true);
  }

  setTerminalRaw(fd: number): void {
    this.#check("terminal_set_raw", this.#library.terminal_set_raw(this.#live, fd));
  }

  createDevice(device: NewDevice): DeviceId {
    const details = device.details ?? new Uint8Array(0);
    return this.#create(
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
    this.#check("device_destroy", this.#library.device_destroy(this.#live, id));
  }

  deviceInfo(id: DeviceId): StructValue<typeof DeviceInfoLayout> {
    return this.#read("device_info", id, DeviceInfoLayout);
  }

  /** Asks a balloon's guest to give up so many pages altogether. */
  setBalloon(id: DeviceId, pageCount: number): void {
    const status = this.#library.device_set_balloon(this.#handle, id, pageCount);
    this.#check("device_set_balloon", status);
  }

  /** What a balloon holds, and whether that changed since the last call. */
  balloon(id: DeviceId): BalloonInfo {
    return this.#read("device_balloon", id, BalloonInfoLayout);
  }

  /** When the guest wrote its boot-time marks; 0 for those it did not. */
  deviceMarks(id: DeviceId): StructValue<typeof MarksLayout> {
    return this.#read("device_marks", id, MarksLayout);
  }

  /** Replaces the whole address map. */
  publishMap(windows: readonly Window[]): void {
    const bytes = encodeArray(WindowParamsLayout, windows);
    this.#check("map_publish", this.#library.map_publish(this.#live, bytes, windows.length));
  }

  /** One register read of 1 to 8 bytes, as a vCPU would do it. */
  busRead(space: Space, address: number, size: number): bigint {
    const access = encode(AccessParamsLayout, { space, size, address, value: 0n });
    this.#check("bus_read", this.#library.bus_read(this.#live, access));
    return decode(AccessParamsLayout, access).value;
  }

  /** Returns the ParkReason that the write asks for; 0 for none. */
  busWrite(space: Space, address: number, size: number, value: bigint): number {
    const access = encode(AccessParamsLayout, { space, size, address, value });
    this.#check("bus_write", this.#library.bus_write(this.#live, access));
    return Number(decode(AccessParamsLayout, access).value);
  }

  createVcpu(topology: Topology): void {
    this.#send("vcpu_create", encode(TopologyLayout, topology));
  }

  /** Registers of the bootstrap processor at its first instruction. */
  setEntry(entry: EntryRegisters): void {
    this.#send("vcpu_set_entry", encode(EntryStateLayout, entry));
  }

  /** Starts the vCPU threads, paused. */
  startVcpus(): void {
    this.#check("vcpus_start", this.#library.vcpus_start(this.#live));
  }

  /** Confines all threads for good; `params` is an encoded SeccompParams. */
  installSeccomp(params: Uint8Array): void {
    this.#send("seccomp_install", params);
  }

  resumeVcpus(): void {
    this.#check("vcpus_resume", this.#library.vcpus_resume(this.#live));
  }

  /** Returns when every vCPU is at rest; throws after two seconds. */
  pauseVcpus(): void {
    this.#check("vcpus_pause", this.#library.vcpus_pause(this.#live));
  }

  vcpuInfo(index: number): VcpuInfo {
    return this.#read("vcpu_info", index, VcpuInfoLayout);
  }

  vcpuRegisters(index: number): StructValue<typeof RegisterDumpLayout> {
    return this.#read("vcpu_registers", index, RegisterDumpLayout);
  }

  /** Where a filter's violation is told from now on. */
  setViolationLog(fd: number): void {
    this.#check("seccomp_set_log", this.#library.seccomp_set_log(fd));
  }

  answerPark(index: number): void {
    this.#check("park_answer", this.#library.park_answer(this.#live, index));
  }

  /** The readable end of the doorbell, which the caller closes. */
  takeDoorbellFd(): number {
    const out = new Uint8Array(4);
    this.#check("doorbell_fd", this.#library.doorbell_fd(this.#live, out));
    return new DataView(out.buffer).getInt32(0, true);
  }

  /** Bits of News since the last call, and wake-ups so far. */
  takeNews(): { readonly bits: number; readonly ringCount: number } {
    const bits = new Uint8Array(4);
    const rings = new Uint8Array(8);
    this.#check("doorbell_take", this.#library.doorbell_take(this.#live, bits, rings));
    return {
      bits: new DataView(bits.buffer).getUint32(0, true),
      ringCount: Number(new DataView(rings.buffer).getBigUint64(0, true)),
    };
  }

  /** Virtual time in nanoseconds with accel=test, else the host's monotonic clock. */
  clockNow(): number {
    const out = new Uint8Array(8);
    this.#check("clock_now", this.#library.clock_now(this.#live, out));
    return Number(new DataView(out.buffer).getBigUint64(0, true));
  }

  /** Moves virtual time forward; returns the time after. */
  moveClock(targetNs: number): number {
    const out = new Uint8Array(8);
    this.#check("clock_move", this.#library.clock_move(this.#live, targetNs, out));
    return Number(new DataView(out.buffer).getBigUint64(0, true));
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
