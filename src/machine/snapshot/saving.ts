// One save of a machine into a template: the states at once, the memory by threads of the core, and
// at the end the one step that makes the template valid. The machine is paused meanwhile.

import { closeSync, openSync } from "node:fs";
import { osModule } from "../../builtin.ts";
import { CONSTANTS, MemorySaveState } from "../../core/abi.gen.ts";
import type { Core } from "../../core/core.ts";
import { errnoText } from "../../core/error.ts";
import {
  cancelMemorySave,
  memorySaveChecksums,
  memorySaveProgress,
  pauseDevices,
  saveState,
  startMemorySave,
  unpauseDevices,
} from "../../core/snapshot.ts";
import { messageOf, UserError } from "../../errors.ts";
import type { Config } from "../../options/config.ts";
import type { MigrationState } from "../../qmp/machine_control.ts";
import { VERSION } from "../../version.ts";
import type { Assembly } from "../assemble.ts";
import type { HotSlot } from "../hot_slot.ts";
import { boardOf } from "./fit.ts";
import { hostOf } from "./incoming.ts";
import { CHECKSUMS } from "./memory_check.ts";
import { layOut, PIECE_ALIGNMENT } from "./memory_layout.ts";
import { devicesOf, partsOf, type StatefulPart } from "./parts.ts";
import { isServedElsewhere } from "./settings.ts";
import { type Description, encodeState, type Section } from "./state_file.ts";
import { TemplateDraft, unwritable } from "./template_draft.ts";

export interface SavingOptions {
  readonly config: Config;
  readonly machine: Assembly;
  readonly folder: string;
}

export class Saving {
  readonly #options: SavingOptions;
  readonly #draft: TemplateDraft;
  readonly #description: Description;
  #sections: Section[] = [];
  #pagemapFd = -1;
  #state: MigrationState = { status: "setup" };

  /** Begins the template's files. Throws a UserError when the folder cannot take them. */
  constructor(options: SavingOptions) {
    checkSavable(options.machine);
    this.#options = options;
    this.#draft = TemplateDraft.begin(options.machine.core, options.folder);
    this.#description = describe(options, this.#draft.id);
  }

  /** Saves the states and starts to write the memory. The vCPUs are at rest. */
  start(): void {
    const { machine } = this.#options;
    const { core } = machine;
    try {
      pauseDevices(core);
      this.#sections = partsOf(machine).map((part) => saveSection(core, part));
      this.#pagemapFd = openPagemap();
      startMemorySave(core, {
        fd: this.#draft.memoryFd,
        offset: PIECE_ALIGNMENT,
        threadCount: Math.min(osModule().availableParallelism(), CONSTANTS.saveThreadCountMax),
        pagemapFd: this.#pagemapFd,
      });
      this.#state = { status: "active" };
    } catch (error) {
      this.#end({ status: "failed", sentence: messageOf(error) });
      throw error;
    }
  }

  get state(): MigrationState {
    if (this.#state.status !== "active") return this.#state;
    const { total, written } = memorySaveProgress(this.#options.machine.core);
    return { ...this.#state, ram: { writtenBytes: written, totalBytes: total } };
  }

  get isActive(): boolean {
    return this.#state.status === "active";
  }

  /** The end comes as news. */
  cancel(): void {
    if (this.isActive) cancelMemorySave(this.#options.machine.core);
  }

  /** Ends the save when its threads have ended; tells whether that is so. */
  onNews(): "active" | "ended" {
    if (!this.isActive) return "ended";
    const { state, errno, total } = memorySaveProgress(this.#options.machine.core);
    switch (state) {
      case MemorySaveState.running:
        return "active";
      case MemorySaveState.done:
        this.#commit({ writtenBytes: total, totalBytes: total });
        break;
      case MemorySaveState.failed: {
        const { message } = unwritable(this.#options.folder, errnoText(errno));
        this.#end({ status: "failed", sentence: message });
        break;
      }
      case MemorySaveState.cancelled:
        this.#end({ status: "canceled" });
        break;
    }
    return "ended";
  }

  #commit(ram: { readonly writtenBytes: number; readonly totalBytes: number }): void {
    const checksums = { name: CHECKSUMS, bytes: memorySaveChecksums(this.#options.machine.core) };
    try {
      this.#draft.commit(encodeState(this.#description, [...this.#sections, checksums]));
      this.#finish({ status: "completed", ram });
    } catch (error) {
      this.#end({ status: "failed", sentence: messageOf(error) });
    }
  }

  /** Without a template. */
  #end(state: MigrationState): void {
    this.#draft.abandon();
    this.#finish(state);
  }

  #finish(state: MigrationState): void {
    if (this.#pagemapFd !== -1) closeSync(this.#pagemapFd);
    this.#sections = [];
    this.#state = state;
    unpauseDevices(this.#options.machine.core);
  }

  /** For a machine that has ended, and the threads that write its memory with it. */
  close(): void {
    if (this.isActive) this.#draft.abandon();
  }
}

function checkSavable({ descriptions, hotSlots }: Assembly): void {
  hotSlots.forEach(checkUnchanged);
  const elsewhere = descriptions.find(({ device }) => isServedElsewhere(device));
  if (elsewhere === undefined) return;
  throw new UserError(
    `The device '${elsewhere.config.id}' cannot be saved: the host's kernel or another process ` +
      "serves it; start the machine without vhost, or without the device.",
  );
}

/** A template is restored by a command line, which tells of the devices of the start. */
function checkUnchanged({ first, occupant }: HotSlot): void {
  if (first === occupant) return;
  const [id, what, fix] =
    occupant === undefined
      ? [first?.id, "was removed", "start the machine without it"]
      : [occupant.id, "was added", "device_del it before"];
  throw new UserError(
    `The device '${id}' ${what} while the machine ran, which a template cannot hold; ${fix}.`,
  );
}

function describe({ config, machine }: SavingOptions, id: string): Description {
  const board = boardOf(config);
  return {
    ...board,
    id,
    savedAt: new Date().toISOString(),
    program: VERSION,
    host: hostOf(),
    memory: { ...board.memory, ...layOut(machine.ramPieces), chunkSize: CONSTANTS.saveChunkSize },
    devices: devicesOf(machine),
  };
}

function saveSection(core: Core, { name, part, id }: StatefulPart): Section {
  return { name, bytes: saveState(core, part, id) };
}

/** Tells which memory was never touched; a host that hides it only makes the save slower. */
function openPagemap(): number {
  try {
    return openSync("/proc/self/pagemap", "r");
  } catch {
    return -1;
  }
}
