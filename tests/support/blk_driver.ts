// A guest driver for virtio-blk (virtio 1.2, section 5.2.6).

import type { GuestBuffer } from "./guest_ram.ts";
import { VirtioDriver } from "./virtio_driver.ts";
import type { ChainPart } from "./virtqueue.ts";

export const BLK_REQUEST = {
  read: 0,
  write: 1,
  flush: 4,
  getId: 8,
  discard: 11,
  writeZeroes: 13,
} as const;

export const BLK_STATUS = { ok: 0, ioError: 1, unsupported: 2 } as const;

export const BLK_FEATURE = {
  segmentMax: 1n << 2n,
  readOnly: 1n << 5n,
  flush: 1n << 9n,
  multiQueue: 1n << 12n,
  discard: 1n << 13n,
  writeZeroes: 1n << 14n,
} as const;

export const SECTOR_SIZE = 512;
/** A status that no device writes. */
export const STATUS_UNTOUCHED = 0xee;

export interface BlkRequest {
  readonly type: number;
  readonly sector?: number | bigint;
  /** Read by the device. */
  readonly output?: readonly GuestBuffer[];
  /** Written by the device. */
  readonly input?: readonly GuestBuffer[];
  readonly queue?: number;
}

/** A request in memory: its chain, and where its status will be. */
export interface PreparedRequest {
  readonly parts: readonly ChainPart[];
  readonly statusAddress: number;
}

export class BlkDriver extends VirtioDriver {
  headerBytes(type: number, sector: number | bigint): Uint8Array {
    const header = new DataView(new ArrayBuffer(16));
    header.setUint32(0, type, true);
    header.setBigUint64(8, BigInt(sector), true);
    return new Uint8Array(header.buffer);
  }

  prepare(request: BlkRequest): PreparedRequest {
    const header = this.ram.place(this.headerBytes(request.type, request.sector ?? 0));
    const status = this.ram.place(Uint8Array.of(STATUS_UNTOUCHED));
    const output = [header, ...(request.output ?? [])];
    const input = [...(request.input ?? []), status];
    return {
      parts: [
        ...output.map((buffer) => ({ ...buffer, writable: false })),
        ...input.map((buffer) => ({ ...buffer, writable: true })),
      ],
      statusAddress: status.address,
    };
  }

  statusOf(prepared: PreparedRequest): number {
    return this.ram.read({ address: prepared.statusAddress, length: 1 })[0] ?? STATUS_UNTOUCHED;
  }

  /** Runs one request to its end; returns its status. */
  async request(request: BlkRequest): Promise<number> {
    const prepared = this.prepare(request);
    await this.run(request.queue ?? 0, prepared.parts);
    return this.statusOf(prepared);
  }

  async read(sector: number, size: number): Promise<Uint8Array> {
    const buffer = this.ram.allocate(size);
    const status = await this.request({ type: BLK_REQUEST.read, sector, input: [buffer] });
    if (status !== BLK_STATUS.ok) throw new Error(`read of sector ${sector}: status ${status}`);
    return this.ram.read(buffer);
  }

  write(sector: number, bytes: Uint8Array): Promise<number> {
    const output = [this.ram.place(bytes)];
    return this.request({ type: BLK_REQUEST.write, sector, output });
  }

  flush(): Promise<number> {
    return this.request({ type: BLK_REQUEST.flush });
  }
}
