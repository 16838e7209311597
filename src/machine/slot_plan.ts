// Which virtio-mmio slot, address and interrupt each device gets (behaviour 3.1).

import type { DeviceClass } from "../devices/context.ts";
import { UserError } from "../errors.ts";
import type { SlotKind } from "../options/hot_replace.ts";
import { VIRTIO_MMIO } from "./boards/microvm.ts";

export interface Slot {
  readonly address: number;
  readonly size: number;
  readonly irq: number;
  /** Undefined for those that any device may have. */
  readonly place: SlotPlace | undefined;
}

/** One of the slots for disks, or of those for networks. */
export interface SlotPlace {
  readonly kind: SlotKind;
  /** Among those of its kind, from 0. */
  readonly number: number;
}

export interface SlotPlan {
  /** In the order of the devices. */
  readonly slots: readonly Slot[];
  /** Those of a kind of their own that no device has. */
  readonly empty: readonly Slot[];
}

/** The slots of each kind that QMP can fill. */
export const SLOT_COUNTS = {
  block: VIRTIO_MMIO.blockSlots,
  network: VIRTIO_MMIO.networkSlots,
} as const;

/**
 * Gives each device a slot: its class's own slots in order, then the common ones. `devices` is in
 * command-line order.
 */
export function planSlots(devices: readonly { id: string; deviceClass: DeviceClass }[]): SlotPlan {
  const free = {
    block: range(0, VIRTIO_MMIO.blockSlots),
    network: range(VIRTIO_MMIO.blockSlots, VIRTIO_MMIO.networkSlots),
    other: range(
      VIRTIO_MMIO.blockSlots + VIRTIO_MMIO.networkSlots,
      VIRTIO_MMIO.slotCount - VIRTIO_MMIO.blockSlots - VIRTIO_MMIO.networkSlots,
    ),
  };
  const slots = devices.map((device) => {
    const index = free[device.deviceClass].shift() ?? free.other.shift();
    if (index === undefined) {
      throw new UserError(
        `There is no slot left for device '${device.id}'; a microvm has ` +
          `${VIRTIO_MMIO.slotCount}, of which ${VIRTIO_MMIO.blockSlots} are for disks and ` +
          `${VIRTIO_MMIO.networkSlots} for networks alone.`,
      );
    }
    return slotAt(index);
  });
  return { slots, empty: [...free.block, ...free.network].map(slotAt) };
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function slotAt(index: number): Slot {
  return {
    address: VIRTIO_MMIO.base + index * VIRTIO_MMIO.size,
    size: VIRTIO_MMIO.size,
    irq: VIRTIO_MMIO.irqFirst + index,
    place: placeOf(index),
  };
}

function placeOf(index: number): SlotPlace | undefined {
  if (index < SLOT_COUNTS.block) return { kind: "block", number: index };
  const number = index - SLOT_COUNTS.block;
  return number < SLOT_COUNTS.network ? { kind: "network", number } : undefined;
}
