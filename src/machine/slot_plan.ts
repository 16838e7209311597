// Which virtio-mmio slot, address and interrupt each device gets (behaviour 3.1).

import type { DeviceClass } from "../devices/context.ts";
import { UserError } from "../errors.ts";
import { VIRTIO_MMIO } from "./boards/microvm.ts";

export interface Slot {
  readonly address: number;
  readonly size: number;
  readonly irq: number;
}

/**
 * Gives each device a slot: its class's own slots in order, then the common ones. `devices` is in
 * command-line order; the result has the same order.
 */
export function planSlots(devices: readonly { id: string; deviceClass: DeviceClass }[]): Slot[] {
  const free = {
    block: range(0, VIRTIO_MMIO.blockSlots),
    network: range(VIRTIO_MMIO.blockSlots, VIRTIO_MMIO.networkSlots),
    other: range(
      VIRTIO_MMIO.blockSlots + VIRTIO_MMIO.networkSlots,
      VIRTIO_MMIO.slotCount - VIRTIO_MMIO.blockSlots - VIRTIO_MMIO.networkSlots,
    ),
  };
  return devices.map((device) => {
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
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function slotAt(index: number): Slot {
  return {
    address: VIRTIO_MMIO.base + index * VIRTIO_MMIO.size,
    size: VIRTIO_MMIO.size,
    irq: VIRTIO_MMIO.irqFirst + index,
  };
}
