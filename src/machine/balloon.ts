// A machine's balloon as QMP sees it: a size of the guest's memory to reach, the size it has, and
// news of changes, which come at most once a second while the guest is at work.

import { CONSTANTS } from "../core/abi.gen.ts";
import type { BalloonInfo, Core, DeviceId } from "../core/core.ts";
import type { BalloonControl } from "../qmp/machine_control.ts";

/** How long after a guest's change the news of it waits for more. */
const NEWS_DELAY_MS = 1000;

export interface BalloonOptions {
  readonly core: Core;
  readonly device: DeviceId;
  /** All of the guest's memory. */
  readonly memoryBytes: number;
  /** Called with the size that was asked for, and with those that the guest reaches. */
  readonly onChange: (memoryBytes: number) => void;
}

export class Balloon implements BalloonControl {
  readonly pageSize = CONSTANTS.balloonPageSize;
  readonly #options: BalloonOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BalloonOptions) {
    this.#options = options;
  }

  setTarget(memoryBytes: number): void {
    const { core, device, memoryBytes: all, onChange } = this.#options;
    const target = Math.min(memoryBytes, all);
    core.setBalloon(device, Math.floor((all - target) / this.pageSize));
    onChange(target);
  }

  actualBytes(): number {
    return this.#sizeOf(this.#look());
  }

  /** The doorbell rang for some device: looks whether it was for this one. */
  onNews(): void {
    // While news waits the data plane stays silent, for its last ring was not answered.
    if (this.#timer === undefined) this.#look();
  }

  /** A look takes the guest's news; none gets lost, whoever looks. */
  #look(): BalloonInfo {
    const info = this.#options.core.balloon(this.#options.device);
    if (info.changed !== 0) this.#timer ??= setTimeout(() => this.#report(), NEWS_DELAY_MS);
    return info;
  }

  #report(): void {
    const { core, device, onChange } = this.#options;
    onChange(this.#sizeOf(core.balloon(device)));
    this.#timer = undefined;
  }

  /** What a guest says of itself may be more than there is. */
  #sizeOf(info: BalloonInfo): number {
    return Math.max(0, this.#options.memoryBytes - info.actualPageCount * this.pageSize);
  }

  /** Before the core is destroyed. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
