// A virtio-console device on its own machine with sockets behind its ports, and the same for the
// conformance suite.

import { openChardev } from "../../src/backends/chardev.ts";
import { ModelKind } from "../../src/core/abi.gen.ts";
import type { NewDevice } from "../../src/core/core.ts";
import { type ConsolePort, consoleDetails } from "../../src/devices/virtio/console.ts";
import { BusMachine } from "./bus_machine.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { TemporaryFolder } from "./temporary_folder.ts";
import { VirtioDriver } from "./virtio_driver.ts";
import type { VirtioModel } from "./virtio_model.ts";
import { FEATURE } from "./virtio_transport.ts";
import type { UsedElement } from "./virtqueue.ts";

const GSI = 13;

/** VIRTIO 1.2, 5.3.2 and 5.3.6.2. */
export const CONSOLE_QUEUE = { controlReceive: 2, controlTransmit: 3 } as const;
export const CONSOLE_EVENT = {
  deviceReady: 0,
  deviceAdd: 1,
  portReady: 3,
  consolePort: 4,
  portOpen: 6,
  portName: 7,
} as const;
export const MULTIPORT = 1n << 1n;
const HEADER_SIZE = 8;
const CONTROL_BUFFER_SIZE = 128;

type BenchPort = Pick<ConsolePort, "number" | "kind"> & { readonly name?: string };

/** A control message; `text` is what follows its header. */
export interface ControlMessage {
  readonly port: number;
  readonly event: number;
  readonly value: number;
  readonly text: string;
}

function describeConsole(ports: readonly ConsolePort[], limit: number): NewDevice {
  const details = consoleDetails(limit, ports);
  return { model: ModelKind.virtioConsole, gsi: GSI, details };
}

/** A socket back end that takes one client after the other; returns its number in the core. */
function openSocket(machine: BusMachine, path: string): number {
  const place = { path, host: undefined, port: undefined };
  const socket = { id: path, backend: "socket", server: true, nowait: true, ...place } as const;
  const chardev = openChardev(machine.core, socket);
  machine.onClose(() => chardev.close());
  return chardev.index;
}

export class ConsoleBench implements Disposable {
  readonly folder = new TemporaryFolder();
  readonly machine = new BusMachine();
  readonly driver: VirtioDriver;
  readonly #limit: number;

  constructor(ports: readonly BenchPort[]) {
    this.#limit = Math.max(...ports.map(({ number }) => number)) + 1;
    const opened = ports.map((port) => ({
      name: `port${port.number}`,
      ...port,
      chardev: openSocket(this.machine, this.socketPath(port.number)),
    }));
    const description = describeConsole(opened, this.#limit);
    this.driver = new VirtioDriver(new MmioTransport(this.machine, description), this.machine.ram);
  }

  socketPath(port: number): string {
    return this.folder.file(`port${port}.sock`);
  }

  /** From reset to DRIVER_OK, with buffers for control messages when there are any. */
  start(features = MULTIPORT | FEATURE.eventIndex): void {
    this.driver.start({ features, queueCount: 2 * (this.#limit + 1) });
    if ((features & MULTIPORT) !== 0n) this.offerControlBuffers(8);
  }

  offerControlBuffers(count: number): void {
    for (let index = 0; index < count; index += 1) {
      const buffer = this.machine.ram.allocate(CONTROL_BUFFER_SIZE);
      this.#controlBuffers.set(
        this.driver.offer(CONSOLE_QUEUE.controlReceive, [{ ...buffer, writable: true }]),
        buffer.address,
      );
    }
  }

  readonly #controlBuffers = new Map<number, number>();

  /** Waits for `count` control messages; gives their buffers back. */
  async takeMessages(count: number): Promise<ControlMessage[]> {
    const used = await this.driver.takeUsed(CONSOLE_QUEUE.controlReceive, count);
    const messages = used.map((element) => this.#readMessage(element));
    this.offerControlBuffers(count);
    return messages;
  }

  #readMessage({ head, length }: UsedElement): ControlMessage {
    const address = this.#controlBuffers.get(head) ?? 0;
    const bytes = this.machine.ram.read({ address, length });
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    return {
      port: view.getUint32(0, true),
      event: view.getUint16(4, true),
      value: view.getUint16(6, true),
      text: new TextDecoder().decode(bytes.subarray(HEADER_SIZE)),
    };
  }

  /** Sends one control message and waits until the device has read it. */
  async tell(port: number, event: number, value: number): Promise<void> {
    const bytes = new Uint8Array(HEADER_SIZE);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, port, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    const message = { ...this.machine.ram.place(bytes), writable: false };
    await this.driver.run(CONSOLE_QUEUE.controlTransmit, [message]);
  }

  /** What a Linux driver does until the port can be used. Returns what the device told of it. */
  async openPort(port: number, messageCount: number): Promise<ControlMessage[]> {
    await this.tell(port, CONSOLE_EVENT.portReady, 1);
    const told = await this.takeMessages(messageCount);
    await this.tell(port, CONSOLE_EVENT.portOpen, 1);
    return told;
  }

  /** Offers output; its chain ends when the back end has taken it. */
  send(port: number, bytes: Uint8Array): number {
    const buffer = { ...this.machine.ram.place(bytes), writable: false };
    return this.driver.offer(transmitQueue(port), [buffer]);
  }

  /** Input that comes into one buffer of `size` bytes. */
  async receive(port: number, size: number): Promise<string> {
    const buffer = this.machine.ram.allocate(size);
    const length = await this.driver.run(receiveQueue(port), [{ ...buffer, writable: true }]);
    return new TextDecoder().decode(this.machine.ram.read({ address: buffer.address, length }));
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

export function receiveQueue(port: number): number {
  return port === 0 ? 0 : 2 * port + 2;
}

export function transmitQueue(port: number): number {
  return receiveQueue(port) + 1;
}

export const consoleModel: VirtioModel = {
  name: "virtio-console",
  deviceType: 3,
  queueCount: 6,
  queueSizeMax: 128,
  workQueue: transmitQueue(0),
  configSize: 12,
  describe: (machine, folder) => {
    const chardev = openSocket(machine, folder.file(`${crypto.randomUUID()}.sock`));
    return describeConsole([{ number: 0, kind: "console", name: "port0", chardev }], 2);
  },
  work: ({ ram }) => [{ ...ram.place(new TextEncoder().encode("output")), writable: false }],
};
