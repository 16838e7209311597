// The driver's side of a split virtqueue in guest memory (virtio 1.2, section 2.7), with methods
// that also let a hostile driver write what it likes.

import type { GuestBuffer, GuestRam } from "./guest_ram.ts";

export const DESCRIPTOR_FLAG = { next: 1, write: 2, indirect: 4 } as const;
const DESCRIPTOR_SIZE = 16;
const NO_INTERRUPT = 1;
const NO_NOTIFY = 1;

/** One buffer of a chain; writable ones come last. */
export interface ChainPart extends GuestBuffer {
  readonly writable: boolean;
}

export interface Descriptor {
  readonly address: number | bigint;
  readonly length: number;
  readonly flags: number;
  readonly next: number;
}

export interface UsedElement {
  readonly head: number;
  readonly length: number;
}

export interface QueueAddresses {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
}

/** Bytes of descriptors, as a table in memory has them. */
export function descriptorBytes(descriptors: readonly Descriptor[]): Uint8Array {
  const bytes = new Uint8Array(descriptors.length * DESCRIPTOR_SIZE);
  const view = new DataView(bytes.buffer);
  descriptors.forEach(({ address, length, flags, next }, index) => {
    const at = index * DESCRIPTOR_SIZE;
    view.setBigUint64(at, BigInt(address), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, next, true);
  });
  return bytes;
}

export class Virtqueue {
  readonly size: number;
  readonly addresses: QueueAddresses;
  #ram: GuestRam;
  readonly #freeDescriptors: number[];
  readonly #chains = new Map<number, readonly number[]>();
  #availableIndex = 0;
  #publishedIndex = 0;
  #seenUsed = 0;

  constructor(ram: GuestRam, size: number) {
    this.#ram = ram;
    this.size = size;
    this.addresses = {
      descriptors: ram.place(new Uint8Array(DESCRIPTOR_SIZE * size)).address,
      available: ram.place(new Uint8Array(6 + 2 * size)).address,
      used: ram.place(new Uint8Array(6 + 8 * size)).address,
    };
    this.#freeDescriptors = Array.from({ length: size }, (_, index) => size - 1 - index);
  }

  /** The queue lies in other memory from now on, at the same place. */
  moveTo(ram: GuestRam): void {
    this.#ram = ram;
  }

  /** Puts a chain into the table and the available ring; the device sees it after `publish`. */
  add(parts: readonly ChainPart[]): number {
    const indexes = parts.map(() => this.#takeDescriptor());
    parts.forEach((part, position) => {
      const isLast = position === parts.length - 1;
      this.writeDescriptor(indexes[position] ?? 0, {
        address: part.address,
        length: part.length,
        flags: (part.writable ? DESCRIPTOR_FLAG.write : 0) | (isLast ? 0 : DESCRIPTOR_FLAG.next),
        next: indexes[position + 1] ?? 0,
      });
    });
    return this.#offer(indexes);
  }

  /** The same through one indirect descriptor (2.7.5.3). */
  addIndirect(parts: readonly ChainPart[]): number {
    const table = this.#ram.place(
      descriptorBytes(
        parts.map((part, position) => ({
          ...part,
          flags:
            (part.writable ? DESCRIPTOR_FLAG.write : 0) |
            (position === parts.length - 1 ? 0 : DESCRIPTOR_FLAG.next),
          next: position + 1,
        })),
      ),
    );
    const index = this.#takeDescriptor();
    this.writeDescriptor(index, { ...table, flags: DESCRIPTOR_FLAG.indirect, next: 0 });
    return this.#offer([index]);
  }

  #takeDescriptor(): number {
    const index = this.#freeDescriptors.pop();
    if (index === undefined) throw new Error("the queue has no free descriptor");
    return index;
  }

  #offer(indexes: readonly number[]): number {
    const head = indexes[0] ?? 0;
    this.#chains.set(head, indexes);
    this.writeAvailable(this.#availableIndex % this.size, head);
    this.#availableIndex = (this.#availableIndex + 1) & 0xffff;
    return head;
  }

  /**
   * Shows the device what was added; returns whether it has to be notified, as a driver finds it
   * out with and without the event index (2.7.10).
   */
  publish(wish: "flag" | "event index" = "flag"): boolean {
    const before = this.#publishedIndex;
    const after = this.#availableIndex;
    this.setAvailableIndex(after);
    this.#publishedIndex = after;
    if (wish === "flag") return this.deviceWantsNotification();
    return ((after - this.availableEvent() - 1) & 0xffff) < ((after - before) & 0xffff);
  }

  /** Finished chains since the last call, whose descriptors are free again. */
  takeUsed(): UsedElement[] {
    const used: UsedElement[] = [];
    const index = this.usedIndex();
    while (this.#seenUsed !== index) {
      const element = this.addresses.used + 4 + (this.#seenUsed % this.size) * 8;
      const head = this.#ram.read32(element);
      used.push({ head, length: this.#ram.read32(element + 4) });
      this.#freeDescriptors.push(...(this.#chains.get(head) ?? []));
      this.#chains.delete(head);
      this.#seenUsed = (this.#seenUsed + 1) & 0xffff;
    }
    return used;
  }

  usedIndex(): number {
    return this.#ram.read16(this.addresses.used + 2);
  }

  writeDescriptor(index: number, descriptor: Descriptor): void {
    const at = this.addresses.descriptors + index * DESCRIPTOR_SIZE;
    this.#ram.write(at, descriptorBytes([descriptor]));
  }

  writeAvailable(slot: number, head: number): void {
    this.#ram.write16(this.addresses.available + 4 + slot * 2, head);
  }

  setAvailableIndex(index: number): void {
    this.#ram.write16(this.addresses.available + 2, index & 0xffff);
  }

  /** Without the event index: whether used buffers raise interrupts (2.7.7). */
  wantInterrupts(wish: "wanted" | "unwanted"): void {
    this.#ram.write16(this.addresses.available, wish === "wanted" ? 0 : NO_INTERRUPT);
  }

  /** With the event index: the used index after which an interrupt is wanted. */
  setUsedEvent(index: number): void {
    this.#ram.write16(this.addresses.available + 4 + 2 * this.size, index & 0xffff);
  }

  /** Without the event index: whether the device asks for notifications (2.7.10). */
  deviceWantsNotification(): boolean {
    return (this.#ram.read16(this.addresses.used) & NO_NOTIFY) === 0;
  }

  /** With the event index: the available index that the device waits for. */
  availableEvent(): number {
    return this.#ram.read16(this.addresses.used + 4 + 8 * this.size);
  }
}
