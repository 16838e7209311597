// virtio-vsock as a guest's driver sees it (virtio 1.2, section 5.10.6), and sockets of the host.

import { closeSync } from "node:fs";
import { openVhostVsock } from "../../src/backends/vhost.ts";
import { ModelKind, VsockParamsLayout } from "../../src/core/abi.gen.ts";
import { encode } from "../../src/core/struct.ts";
import { BusMachine, type DeviceHost } from "./bus_machine.ts";
import type { GuestBuffer } from "./guest_ram.ts";
import { libc, must } from "./libc.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { until } from "./until.ts";
import { VirtioDriver } from "./virtio_driver.ts";
import type { VirtioModel } from "./virtio_model.ts";

export const OPERATION = { request: 1, response: 2, reset: 3, shutdown: 4, data: 5 } as const;
const RECEIVE = 0;
export const TRANSMIT = 1;
export const EVENTS = 2;
const HOST_CID = 2;
/** Of this process's own, for tests may run side by side. */
export const GUEST_CID = 0x1000 + process.pid;
const VSOCK_GSI = 7;
const HEADER_SIZE = 44;
const BUFFER_SIZE = 4096;
const CREDIT = 1 << 16;
const TYPE_STREAM = 1;

export interface Packet {
  readonly operation: number;
  /** Of the guest and of the host. */
  readonly guestPort: number;
  readonly hostPort: number;
  readonly data: Uint8Array;
}

function describeVsock(machine: DeviceHost, guestCid: number) {
  const request = { id: "v", guestCid, vhostfd: undefined };
  const { fd, features, close } = openVhostVsock(machine.core, request);
  machine.onClose(close);
  const details = encode(VsockParamsLayout, { fd, guestCid, features });
  return { model: ModelKind.vhostVsock, gsi: VSOCK_GSI, details };
}

export const vsockModel: VirtioModel = {
  name: "vhost-vsock",
  deviceType: 19,
  queueCount: 3,
  queueSizeMax: 256,
  workQueue: TRANSMIT,
  configSize: 8,
  spuriousInterrupts: "the kernel calls once before it looks at the event index",
  describe: (machine) => describeVsock(machine, GUEST_CID),
  work: ({ ram }) => {
    const packet = { operation: OPERATION.reset, guestPort: 9, hostPort: 9, data: NO_DATA };
    return [{ ...ram.place(encodePacket(packet)), writable: false }];
  },
};

const NO_DATA = new Uint8Array(0);

function encodePacket({ operation, guestPort, hostPort, data }: Packet): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(GUEST_CID), true);
  view.setBigUint64(8, BigInt(HOST_CID), true);
  view.setUint32(16, guestPort, true);
  view.setUint32(20, hostPort, true);
  view.setUint32(24, data.length, true);
  view.setUint16(28, TYPE_STREAM, true);
  view.setUint16(30, operation, true);
  view.setUint32(36, CREDIT, true);
  bytes.set(data, HEADER_SIZE);
  return bytes;
}

function decodePacket(bytes: Uint8Array): Packet {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const size = view.getUint32(24, true);
  return {
    operation: view.getUint16(30, true),
    hostPort: view.getUint32(16, true),
    guestPort: view.getUint32(20, true),
    data: bytes.slice(HEADER_SIZE, HEADER_SIZE + size),
  };
}

export class VsockBench implements Disposable {
  readonly machine = new BusMachine();
  readonly driver: VirtioDriver;
  readonly #buffers = new Map<number, GuestBuffer>();
  /** Those that came and nobody has asked for yet. */
  readonly #packets: Packet[] = [];

  constructor() {
    const transport = new MmioTransport(this.machine, describeVsock(this.machine, GUEST_CID));
    this.driver = new VirtioDriver(transport, this.machine.ram);
    this.start();
  }

  start(): void {
    this.#buffers.clear();
    this.#packets.length = 0;
    this.driver.start({ queueCount: 3 });
    for (let count = 0; count < 32; count += 1) this.#offerBuffer();
  }

  #offerBuffer(): void {
    const buffer = this.machine.ram.allocate(BUFFER_SIZE);
    const head = this.driver.offer(RECEIVE, [{ ...buffer, writable: true }]);
    this.#buffers.set(head, buffer);
  }

  async send(packet: Packet): Promise<void> {
    const bytes = this.machine.ram.place(encodePacket(packet));
    await this.driver.run(TRANSMIT, [{ ...bytes, writable: false }]);
  }

  /** The next packet with one of these operations; others, such as credit, are passed over. */
  async receive(...operations: readonly number[]): Promise<Packet> {
    for (;;) {
      const packet = this.#packets.shift() ?? (await this.#receiveMore());
      if (operations.includes(packet.operation)) return packet;
    }
  }

  async #receiveMore(): Promise<Packet> {
    const used = await this.driver.takeUsed(RECEIVE, 1);
    const packets = used.map(({ head }) => {
      const buffer = this.#buffers.get(head);
      if (buffer === undefined) throw new Error("a buffer was used that nobody offered");
      return decodePacket(this.machine.ram.read(buffer));
    });
    for (const _ of packets) this.#offerBuffer();
    const [first, ...rest] = packets;
    if (first === undefined) throw new Error("no buffer was used");
    this.#packets.push(...rest);
    return first;
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const ANY_CID = 0xffff_ffff;

/** struct sockaddr_vm (linux/vm_sockets.h). */
function addressOf(cid: number, port: number): Uint8Array {
  const address = new DataView(new ArrayBuffer(16));
  address.setUint16(0, AF_VSOCK, true);
  address.setUint32(4, port, true);
  address.setUint32(8, cid, true);
  return new Uint8Array(address.buffer);
}

/** A socket of the host, without blocking. */
export class HostSocket {
  readonly #fd: number;

  private constructor(host: DeviceHost, fd: number) {
    this.#fd = fd;
    host.onClose(() => closeSync(fd));
  }

  static #open(host: DeviceHost): HostSocket {
    const kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return new HostSocket(host, must("socket", libc.socket(AF_VSOCK, kind, 0)));
  }

  /** Begins to connect; the guest answers. */
  static connect(host: DeviceHost, port: number): HostSocket {
    const socket = HostSocket.#open(host);
    const address = addressOf(GUEST_CID, port);
    libc.connect(socket.#fd, address, address.length);
    return socket;
  }

  static listen(host: DeviceHost, port: number): HostSocket {
    const socket = HostSocket.#open(host);
    const address = addressOf(ANY_CID, port);
    must("bind", libc.bind(socket.#fd, address, address.length));
    must("listen", libc.listen(socket.#fd, 1));
    return socket;
  }

  async accept(host: DeviceHost): Promise<HostSocket> {
    let fd = -1;
    await until("a connection", () => {
      fd = libc.accept4(this.#fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      return fd >= 0;
    });
    return new HostSocket(host, fd);
  }

  send(bytes: Uint8Array): void {
    must("send", libc.send(this.#fd, bytes, bytes.length, 0));
  }

  /** Waits for so many bytes. */
  async receive(size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    let done = 0;
    await until(`${size} bytes`, () => {
      const rest = bytes.subarray(done);
      done += Math.max(0, Number(libc.recv(this.#fd, rest, rest.length, 0)));
      return done === size;
    });
    return bytes;
  }
}
