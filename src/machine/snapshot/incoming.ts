// A machine that comes from a template: what is checked before it is made, the memory that it is
// made with, and the states that go into it before it runs.

import type { Core } from "../../core/core.ts";
import { cpuVendor } from "../../core/host_calls.ts";
import { restoreState, stateFault, unpauseDevices } from "../../core/snapshot.ts";
import { UserError } from "../../errors.ts";
import type { Config, IncomingConfig } from "../../options/config.ts";
import type { SavedMemory } from "../memory.ts";
import { boardOf, checkBoard, checkDevices, checkHost, type Host } from "./fit.ts";
import { checkMemory } from "./memory_check.ts";
import { devicesOf, partsOf, type StatefulMachine, type StatefulPart } from "./parts.ts";
import { openTemplate, type Template } from "./template.ts";

/** The only version there is (Documentation/virt/kvm/api.rst, KVM_GET_API_VERSION). */
const KVM_API_VERSION = 12;

/** What the host has that saved processors need. */
export function hostOf(): Host {
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  return { arch, kvmApi: KVM_API_VERSION, cpuVendor: cpuVendor() };
}

export class Incoming {
  readonly memory: SavedMemory;
  readonly #template: Template;

  private constructor(template: Template, memory: SavedMemory) {
    this.memory = memory;
    this.#template = template;
  }

  /**
   * Throws a UserError for a template that is not whole, or not of such a machine or host. Memory
   * that is only mapped is not read for that.
   */
  static open({ path, mapped }: IncomingConfig, config: Config): Incoming {
    const template = openTemplate(path);
    try {
      checkHost(template, hostOf());
      checkBoard(template, boardOf(config));
      if (!mapped) checkMemory(template);
      const { pieces } = template.manifest.memory;
      return new Incoming(template, { fd: template.memoryFd, pieces, mapped });
    } catch (error) {
      template.close();
      throw error;
    }
  }

  /**
   * Puts the saved states into a machine that has its memory; its vCPUs and devices are new.
   * Throws a UserError when one does not fit.
   */
  restore(core: Core, machine: StatefulMachine): void {
    checkDevices(this.#template, devicesOf(machine));
    for (const part of partsOf(machine)) this.#restorePart(core, part);
    unpauseDevices(core);
  }

  #restorePart(core: Core, { name, part, id }: StatefulPart): void {
    const { folder, sections } = this.#template;
    const bytes = sections.get(name);
    if (bytes === undefined) {
      throw new UserError(
        `The template '${folder}' lacks the state of '${name}'; save the machine again.`,
      );
    }
    try {
      restoreState(core, part, id, bytes);
    } catch (error) {
      const fault = stateFault(error);
      if (fault === undefined) throw error;
      throw new UserError(
        `The state of '${name}' in the template '${folder}' is refused: ${fault}.`,
      );
    }
  }

  /** Memory stays mapped. */
  close(): void {
    this.#template.close();
  }
}
