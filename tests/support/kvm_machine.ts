// A machine with KVM that runs a payload from 16 MiB in 64-bit mode, in process: serial port to a
// file, power registers, a disk if asked for.

import "./core_library.ts";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { longModeEntry } from "../../src/boot/x86_entry.ts";
import { ModelKind, ParkReason, Space } from "../../src/core/abi.gen.ts";
import { Core, type DeviceId, type Window } from "../../src/core/core.ts";
import type { DeviceHost } from "./bus_machine.ts";
import { GuestRam } from "./guest_ram.ts";
import { TemporaryFolder } from "./temporary_folder.ts";
import { until } from "./until.ts";

const MIB = 2 ** 20;
export const MEMORY_SIZE = 64 * MIB;
export const PAYLOAD_ADDRESS = 16 * MIB;
const SERIAL_IRQ = 4;
const MMIO_START = 0xf010_0000;

export interface KvmMachineOptions {
  readonly vcpuCount?: number;
  readonly hasPit?: boolean;
  /** A file that the memory shows until it is written; -1: none. */
  readonly memoryFd?: number;
  /** What the serial port receives. */
  readonly input?: string;
}

export class KvmMachine implements DeviceHost, Disposable {
  readonly core: Core;
  readonly folder = new TemporaryFolder();
  readonly ram: GuestRam;
  readonly serial: DeviceId;
  readonly #closers: (() => void)[] = [];
  #nextMmio = MMIO_START;
  readonly #kvmFd = openSync("/dev/kvm", "r+");
  readonly #outputPath = this.folder.file("serial.out");
  readonly #outputFd = openSync(this.#outputPath, "w");
  readonly #windows: Window[] = [];
  readonly vcpuCount: number;

  constructor(options: KvmMachineOptions = {}) {
    this.core = Core.create(this.#kvmFd);
    this.vcpuCount = options.vcpuCount ?? 1;
    const fd = options.memoryFd ?? -1;
    this.core.addMemory({ guestAddress: 0, size: MEMORY_SIZE, fd, dump: 0 });
    this.ram = new GuestRam(this.core, { start: 32 * MIB, end: MEMORY_SIZE });
    this.core.createInterruptChips();
    if (options.hasPit ?? false) this.core.createPit();
    this.serial = this.#addPlatform(this.#openInput(options.input));
  }

  #openInput(input: string | undefined): number {
    if (input === undefined) return -1;
    const path = this.folder.file("serial.in");
    writeFileSync(path, input);
    const fd = openSync(path, "r");
    this.onClose(() => closeSync(fd));
    return fd;
  }

  #addPlatform(inputFd: number): DeviceId {
    const { core } = this;
    const outputFd = this.#outputFd;
    const chardev = core.createChardev({ inputFd, outputFd, listenFd: -1, escape: 0 });
    const serial = core.createDevice({ model: ModelKind.serial, gsi: SERIAL_IRQ, chardev });
    this.addWindow(serial, Space.pio, 0x3f8, 7);
    this.addWindow(core.createDevice({ model: ModelKind.i8042 }), Space.pio, 0x60, 5);
    const power = core.createDevice({ model: ModelKind.power });
    this.addWindow(power, Space.pio, 0xce9, 1, 0);
    this.addWindow(power, Space.pio, 0xcf9, 1, 1);
    return serial;
  }

  addWindow(device: DeviceId, space: Space, base: number, size: number, region = 0): void {
    this.#windows.push({ base, size, space, device, region });
    this.core.publishMap(this.#windows);
  }

  /** All that have windows, in the order of their making. */
  get devices(): readonly DeviceId[] {
    return [...new Set(this.#windows.map(({ device }) => device))];
  }

  addMmioWindow(device: DeviceId, size: number): number {
    const base = this.#nextMmio;
    this.#nextMmio += size;
    this.addWindow(device, Space.mmio, base, size);
    return base;
  }

  onClose(closer: () => void): void {
    this.#closers.push(closer);
  }

  /** Loads the payload and lets it run. */
  run(code: Uint8Array): void {
    this.load(code);
    this.core.resumeVcpus();
  }

  /** Makes the processors; their threads come with `Core.startVcpus`. */
  createVcpus(): void {
    const topology = { threads: 1, cores: this.vcpuCount, dies: 1, sockets: 1 };
    for (let count = 0; count < this.vcpuCount; count += 1) this.core.createVcpu(topology);
  }

  /** Loads the payload; its processors wait, paused. */
  load(code: Uint8Array): void {
    const { core } = this;
    this.createVcpus();
    const { blobs, state } = longModeEntry(PAYLOAD_ADDRESS, 0);
    for (const { address, bytes } of blobs) core.writeMemory(address, bytes);
    core.writeMemory(PAYLOAD_ADDRESS, code);
    core.setEntry(state);
    core.startVcpus();
  }

  /** Waits until a processor waits for its end; says why. */
  async parked(vcpu = 0): Promise<ParkReason> {
    await until("the payload's end", () => this.core.vcpuInfo(vcpu).park !== ParkReason.none);
    return this.core.vcpuInfo(vcpu).park as ParkReason;
  }

  async untilPrinted(text: string): Promise<void> {
    await until(`'${text}' on the serial port`, () => this.printed === text);
  }

  get printed(): string {
    return readFileSync(this.#outputPath, "latin1");
  }

  read64(address: number): bigint {
    const bytes = this.core.readMemory(address, 8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  }

  [Symbol.dispose](): void {
    this.core.destroy();
    for (const closer of this.#closers) closer();
    closeSync(this.#kvmFd);
    closeSync(this.#outputFd);
    this.folder[Symbol.dispose]();
  }
}
