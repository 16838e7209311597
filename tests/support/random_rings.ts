// Rings full of nonsense, as a hostile driver leaves them on every queue of a device.

import type { BusMachine } from "./bus_machine.ts";
import type { GuestBuffer } from "./guest_ram.ts";
import type { Random } from "./random.ts";
import type { VirtioDriver } from "./virtio_driver.ts";
import { descriptorBytes } from "./virtqueue.ts";

interface Rings {
  readonly driver: VirtioDriver;
  readonly machine: BusMachine;
  /** Where the descriptors point. */
  readonly scratch: GuestBuffer;
}

/** Fills the rings of all queues that are set up, and notifies each. */
export function scribbleRings({ driver, machine, scratch }: Rings, random: Random): void {
  for (const [index, queue] of driver.queues.entries()) {
    const descriptors = Array.from({ length: queue.size }, () => ({
      address: scratch.address + random.below(scratch.length),
      length: random.below(0x800),
      flags: random.below(8),
      next: random.below(queue.size + 1),
    }));
    machine.ram.write(queue.addresses.descriptors, descriptorBytes(descriptors));
    machine.ram.write(queue.addresses.available + 4, random.bytes(2 * queue.size));
    queue.setAvailableIndex(random.below(queue.size + 2));
    driver.transport.notify(index);
  }
}
