// A machine's snapshot in parts, and a second machine of the same shape that goes on from it.

import { closeSync, openSync } from "node:fs";
import { StatePart } from "../../src/core/abi.gen.ts";
import { pauseDevices, restoreState, saveState, unpauseDevices } from "../../src/core/snapshot.ts";
import { KvmMachine, type KvmMachineOptions } from "./kvm_machine.ts";
import { saveMemory } from "./memory_save.ts";

export interface KvmSnapshot {
  readonly vm: Uint8Array;
  readonly vcpus: readonly Uint8Array[];
  readonly devices: readonly Uint8Array[];
  readonly memoryPath: string;
}

/** Stops the machine, which stays stopped. */
export async function takeSnapshot(machine: KvmMachine): Promise<KvmSnapshot> {
  const { core } = machine;
  core.pauseVcpus();
  pauseDevices(core);
  const memoryPath = machine.folder.file("memory");
  await saveMemory(core, memoryPath);
  const indices = Array.from({ length: machine.vcpuCount }, (_, index) => index);
  return {
    vcpus: indices.map((index) => saveState(core, StatePart.vcpu, index)),
    vm: saveState(core, StatePart.vm),
    devices: machine.devices.map((device) => saveState(core, StatePart.device, device)),
    memoryPath,
  };
}

/** A new machine with the snapshot's memory, whose processors have no threads and states yet. */
export function machineOf(snapshot: KvmSnapshot, options: KvmMachineOptions = {}): KvmMachine {
  const memoryFd = openSync(snapshot.memoryPath, "r");
  const machine = new KvmMachine({ vcpuCount: snapshot.vcpus.length, ...options, memoryFd });
  closeSync(memoryFd);
  machine.createVcpus();
  return machine;
}

/** The states, in their order; `Core.resumeVcpus` is all that is left. */
export function restoreStates({ core, devices }: KvmMachine, snapshot: KvmSnapshot): void {
  snapshot.vcpus.forEach((state, index) => {
    restoreState(core, StatePart.vcpu, index, state);
  });
  restoreState(core, StatePart.vm, 0, snapshot.vm);
  devices.forEach((device, index) => {
    restoreState(core, StatePart.device, device, snapshot.devices[index] ?? new Uint8Array(0));
  });
  unpauseDevices(core);
  core.startVcpus();
}
