// Back ends that QMP adds, and the slots that they are put into and taken out of (behaviour 2.3).

import { type Drive, openDrive } from "../backends/drive.ts";
import { openTap, type Tap } from "../backends/tap.ts";
import type { Core, DeviceId } from "../core/core.ts";
import { CoreError } from "../core/error.ts";
import { diskDetails, emptyDiskDetails } from "../devices/virtio/blk.ts";
import { cardDetails } from "../devices/virtio/net.ts";
import { UserError } from "../errors.ts";
import type { Config, DriveConfig } from "../options/config.ts";
import type { HotDevice, SlotKind } from "../options/hot_replace.ts";
import type { TapNetdev } from "../options/netdevs.ts";
import { didYouMean } from "../options/suggest.ts";
import type { HotReplace } from "../qmp/machine_control.ts";
import { QmpError } from "../qmp/protocol.ts";
import { emptyMac, type HotSlot, nameOfEmpty } from "./hot_slot.ts";
import type { Resource, Resources } from "./resources.ts";
import { SLOT_COUNTS } from "./slot_plan.ts";

/** As many as there are slots (behaviour 2.3). */
const MAX_BACKENDS = SLOT_COUNTS.block + SLOT_COUNTS.network;

const WORDS = {
  block: { backend: "drive", command: "blockdev-add", slots: "for disks" },
  network: { backend: "netdev", command: "netdev_add", slots: "for networks" },
} as const;

/** A back end that no device uses. */
type Backend =
  | { readonly kind: "block"; readonly drive: DriveConfig; readonly resource: Drive }
  | { readonly kind: "network"; readonly resource: Tap };

export interface HotSlotsOptions {
  readonly core: Core;
  readonly config: Config;
  readonly resources: Resources;
  /** All devices by their names, which change with what is in the slots. */
  readonly devices: Map<string, DeviceId>;
  readonly slots: readonly HotSlot[];
  readonly onDeleted: (id: string) => void;
}

export class HotSlots implements HotReplace {
  readonly slotCounts = SLOT_COUNTS;
  readonly #options: HotSlotsOptions;
  readonly #backends: Readonly<Record<SlotKind, Map<string, Backend>>> = {
    block: new Map(),
    network: new Map(),
  };
  /** Closed with their devices; clients of QEMU remove them once more. */
  readonly #released: Readonly<Record<SlotKind, Set<string>>> = {
    block: new Set(),
    network: new Set(),
  };

  constructor(options: HotSlotsOptions) {
    this.#options = options;
  }

  addDrive(drive: DriveConfig): void {
    this.#checkNew("block", drive.id);
    const { core } = this.#options;
    this.#add(drive.id, { kind: "block", drive, resource: openDrive(core, drive) });
  }

  removeDrive(id: string): void {
    this.#remove("block", id);
  }

  addNetdev(netdev: TapNetdev): void {
    this.#checkNew("network", netdev.id);
    const tap = openTap(this.#options.core, netdev, 1);
    this.#add(netdev.id, { kind: "network", resource: tap });
  }

  removeNetdev(id: string): void {
    this.#remove("network", id);
  }

  addDevice(device: HotDevice): void {
    const { kind, id } = device;
    if (this.#options.devices.has(id)) {
      throw new UserError(`The device '${id}' exists already; ids are unique.`);
    }
    if (device.iothread !== undefined) {
      const why = "a slot stays with the thread that it started with";
      throw new UserError(`The device '${id}' cannot have an iothread: ${why}; leave it out.`);
    }
    const backendId = this.#findBackend(device);
    const slot = this.#findSlot(device);
    const backend = this.#backends[kind].get(backendId);
    if (backend === undefined) throw new Error(`the back end '${backendId}' went away`);
    this.#replace(slot, this.#detailsOf(backend, slot, device), id);
    this.#backends[kind].delete(backendId);
    slot.occupant = { id, backendId, resources: [backend.resource] };
    this.#rename(slot, nameOfEmpty(slot.place), id);
  }

  removeDevice(id: string): void {
    const slot = this.#options.slots.find(({ occupant }) => occupant?.id === id);
    const occupant = slot?.occupant;
    if (slot === undefined || occupant === undefined) throw this.#notRemovable(id);
    this.#replace(slot, this.#emptyDetails(slot), id);
    slot.occupant = undefined;
    this.#rename(slot, id, nameOfEmpty(slot.place));
    for (const resource of occupant.resources) this.#options.resources.release(resource);
    this.#release(slot.place.kind, occupant.backendId);
    this.#options.onDeleted(id);
  }

  #notRemovable(id: string): Error {
    const { devices, slots } = this.#options;
    const known = slots.flatMap(({ occupant }) => occupant?.id ?? []);
    if (!devices.has(id)) {
      const hint = didYouMean(id, known, "device_add makes one.");
      return new QmpError("DeviceNotFound", `There is no device '${id}'.${hint}`);
    }
    const can = "only disks and taps that the machine serves itself, in slots of their own, can";
    return new UserError(`The device '${id}' cannot be removed while the machine runs: ${can}.`);
  }

  #checkNew(kind: SlotKind, id: string): void {
    const { slots } = this.#options;
    const isTaken =
      this.#backends[kind].has(id) ||
      slots.some(({ place, occupant }) => place.kind === kind && occupant?.backendId === id);
    if (isTaken) {
      throw new UserError(`The ${WORDS[kind].backend} '${id}' exists already; ids are unique.`);
    }
    const count = this.#backends.block.size + this.#backends.network.size;
    if (count < MAX_BACKENDS) return;
    throw new UserError(
      `There are ${MAX_BACKENDS} back ends without a device, as many as there are slots; ` +
        "blockdev-del or netdev_del frees one.",
    );
  }

  #add(id: string, backend: Backend): void {
    this.#options.resources.add<Resource>(backend.resource);
    this.#backends[backend.kind].set(id, backend);
    this.#released[backend.kind].delete(id);
  }

  #remove(kind: SlotKind, id: string): void {
    const backend = this.#backends[kind].get(id);
    if (backend !== undefined) {
      this.#backends[kind].delete(id);
      this.#options.resources.release(backend.resource);
      return;
    }
    if (this.#released[kind].delete(id)) return;
    const { backend: what, command } = WORDS[kind];
    const user = this.#options.slots.find(
      ({ place, occupant }) => place.kind === kind && occupant?.backendId === id,
    )?.occupant;
    if (user !== undefined) {
      throw new UserError(`The ${what} '${id}' is used by '${user.id}'; device_del that first.`);
    }
    const hint = didYouMean(id, [...this.#backends[kind].keys()], `${command} makes one.`);
    throw new QmpError("DeviceNotFound", `There is no ${what} '${id}'.${hint}`);
  }

  #release(kind: SlotKind, id: string): void {
    const released = this.#released[kind];
    released.add(id);
    for (const oldest of released) if (released.size > MAX_BACKENDS) released.delete(oldest);
  }

  #findBackend({ id, kind, backendIds }: HotDevice): string {
    const known = this.#backends[kind];
    const found = backendIds.find((each) => known.has(each));
    if (found !== undefined) return found;
    const { backend, command } = WORDS[kind];
    const [named = id] = backendIds;
    const hint = didYouMean(named, [...known.keys()], `${command} makes one.`);
    throw new UserError(
      `The device '${id}' names the ${backend} '${named}', which is not there or in use.${hint}`,
    );
  }

  #findSlot({ id, kind, slot: number }: HotDevice): HotSlot {
    const ofKind = this.#options.slots.filter(({ place }) => place.kind === kind);
    const where = WORDS[kind].slots;
    if (number === undefined) {
      const free = ofKind.find(({ occupant }) => occupant === undefined);
      if (free !== undefined) return free;
      throw new UserError(`All slots ${where} are taken; device_del frees one for '${id}'.`);
    }
    const slot = ofKind.find(({ place }) => place.number === number);
    if (slot !== undefined && slot.occupant === undefined) return slot;
    const user = slot?.occupant === undefined ? "" : ` by '${slot.occupant.id}'`;
    throw new UserError(`The slot ${number} ${where} is taken${user}; give '${id}' another addr.`);
  }

  #detailsOf(backend: Backend, slot: HotSlot, device: HotDevice): Uint8Array {
    if (backend.kind === "block") {
      const { drive, resource: file } = backend;
      return diskDetails({ drive, file, serial: device.serial });
    }
    const { resource: tap } = backend;
    return cardDetails(tap, device.mac ?? emptyMac(this.#options.config, slot.place));
  }

  #emptyDetails({ place }: HotSlot): Uint8Array {
    if (place.kind === "block") return emptyDiskDetails();
    return cardDetails(undefined, emptyMac(this.#options.config, place));
  }

  #replace(slot: HotSlot, details: Uint8Array, id: string): void {
    try {
      this.#options.core.call("device_replace", slot.device, details, details.length);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      throw new UserError(
        `The back end of the device '${id}' cannot be changed: ${error.message}.`,
      );
    }
  }

  #rename(slot: HotSlot, from: string, to: string): void {
    this.#options.devices.delete(from);
    this.#options.devices.set(to, slot.device);
  }
}
