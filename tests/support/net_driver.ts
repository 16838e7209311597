// A guest driver for virtio-net (virtio 1.2, section 5.1.6), and the device on given descriptors.

import { ModelKind, NetParamsLayout } from "../../src/core/abi.gen.ts";
import type { NewDevice } from "../../src/core/core.ts";
import { encode, type StructValue } from "../../src/core/struct.ts";
import { macBytes } from "../../src/devices/mac_bytes.ts";
import { descriptorBytes } from "../../src/devices/virtio/net.ts";
import type { GuestBuffer } from "./guest_ram.ts";
import { until } from "./until.ts";
import { VirtioDriver } from "./virtio_driver.ts";
import type { ChainPart } from "./virtqueue.ts";

export const NET_FEATURE = {
  checksum: 1n << 0n,
  guestChecksum: 1n << 1n,
  mac: 1n << 5n,
  guestTso4: 1n << 7n,
  guestUfo: 1n << 10n,
  hostUfo: 1n << 14n,
  mergeable: 1n << 15n,
  status: 1n << 16n,
  control: 1n << 17n,
  controlVlan: 1n << 19n,
  multiQueue: 1n << 22n,
} as const;

export const HEADER_SIZE = 12;
export const RECEIVE = 0;
export const SEND = 1;
export const OWN_MAC = "52:54:00:12:34:56";
const NET_GSI = 6;

export type NetOptions = Partial<StructValue<typeof NetParamsLayout>>;

/** The device parameters of open taps, or of sockets that stand for them. */
export function describeNet(fds: readonly number[], options: NetOptions = {}): NewDevice {
  const details = encode(NetParamsLayout, {
    fds: descriptorBytes(fds),
    pairCount: fds.length,
    queueSize: 256,
    flags: 0,
    mac: macBytes(OWN_MAC),
    vhostFds: descriptorBytes([]),
    vhostFeatures: 0,
    ...options,
  });
  return { model: ModelKind.virtioNet, gsi: NET_GSI, iothread: 0, details };
}

export interface ReceivedFrame {
  readonly header: Uint8Array;
  readonly frame: Uint8Array;
  readonly bufferCount: number;
}

export class NetDriver extends VirtioDriver {
  readonly #buffers = new Map<string, GuestBuffer>();
  /** Filled buffers that are not yet looked at, by queue. */
  readonly #filled = new Map<number, Uint8Array[]>();

  /** Gives the device buffers to receive into. */
  offerBuffers(count: number, size: number, queue = RECEIVE): void {
    for (let index = 0; index < count; index += 1) {
      const buffer = this.ram.allocate(size);
      const head = this.queue(queue).add([{ ...buffer, writable: true }]);
      this.#buffers.set(`${queue}.${head}`, buffer);
    }
    this.queue(queue).publish();
    this.transport.notify(queue);
  }

  /** Waits for a frame, put together from its buffers. */
  async receive(queue = RECEIVE): Promise<ReceivedFrame> {
    const filled = this.#filled.get(queue) ?? [];
    this.#filled.set(queue, filled);
    const take = () => {
      for (const { head, length } of this.queue(queue).takeUsed()) {
        const buffer = this.#buffers.get(`${queue}.${head}`);
        if (buffer === undefined) throw new Error(`no buffer has the head ${head}`);
        filled.push(this.ram.read({ address: buffer.address, length }));
      }
      return filled.length > 0;
    };
    await until("a frame for the guest", take);
    const first = filled[0] ?? new Uint8Array(HEADER_SIZE);
    const bufferCount = new DataView(first.buffer).getUint16(HEADER_SIZE - 2, true);
    const parts = filled.splice(0, bufferCount);
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    const [header, frame] = [bytes.slice(0, HEADER_SIZE), bytes.slice(HEADER_SIZE)];
    if (parts.length !== bufferCount) throw new Error(`${parts.length} buffers for ${bufferCount}`);
    return { header, frame, bufferCount };
  }

  /** A chain that sends these bytes, in buffers of at most `pieceSize`. */
  sending(bytes: Uint8Array, pieceSize = bytes.length): ChainPart[] {
    const count = Math.ceil(bytes.length / pieceSize);
    return Array.from({ length: count }, (_, index) => {
      const piece = bytes.slice(index * pieceSize, (index + 1) * pieceSize);
      return { ...this.ram.place(piece), writable: false };
    });
  }

  /** Runs a command of the control queue; returns its answer, 0 for done. */
  async command(bytes: readonly number[]): Promise<number> {
    const answer = this.ram.place(Uint8Array.of(0xee));
    const request = this.ram.place(Uint8Array.from(bytes));
    await this.run(this.queues.length - 1, [
      { ...request, writable: false },
      { ...answer, writable: true },
    ]);
    return this.ram.read(answer)[0] ?? 0xee;
  }
}

/** A frame to `target` whose payload counts up from `seed`. */
export function frameTo(target: string, size = 60, seed = 1): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, index) => index + seed);
  bytes.set(macBytes(target));
  bytes.set(macBytes("02:00:00:00:00:01"), 6);
  // An EtherType for local experiments.
  bytes.set([0x88, 0xb5], 12);
  return bytes;
}

/** As a tap gives and takes it: with an empty header before it. */
export function withHeader(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + frame.length);
  bytes.set(frame, HEADER_SIZE);
  return bytes;
}
