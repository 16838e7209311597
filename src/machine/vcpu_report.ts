// One line on a vCPU that KVM could not run any longer: what KVM said, and the registers.

import type { Core } from "../core/core.ts";
import { errnoText } from "../core/error.ts";

const EXIT_NAMES: Readonly<Record<number, string>> = {
  0: "KVM_EXIT_UNKNOWN",
  9: "KVM_EXIT_FAIL_ENTRY",
  17: "KVM_EXIT_INTERNAL_ERROR",
  24: "KVM_EXIT_SYSTEM_EVENT",
};

/** What a vCPU left guest mode for; only its parks were answered by JavaScript. */
export function describeExits(core: Core, index: number): string {
  const { parkCount, pioExits, mmioExits, otherExits } = core.vcpuInfo(index);
  return (
    `vCPU ${index} exits: ${parkCount} parks, ${pioExits} port accesses, ` +
    `${mmioExits} MMIO accesses, ${otherExits} others`
  );
}

export function describeFailure(core: Core, index: number): string {
  const info = core.vcpuInfo(index);
  const cause =
    info.failureErrno !== 0
      ? `KVM_RUN failed with ${errnoText(info.failureErrno)}`
      : `${EXIT_NAMES[info.failureExitReason] ?? `exit reason ${info.failureExitReason}`} ` +
        `(0x${info.failureDetail.toString(16)})`;
  const registers = Object.entries(core.vcpuRegisters(index))
    .map(([name, value]) => `${name}=0x${value.toString(16)}`)
    .join(" ");
  return `vCPU ${index} cannot go on: ${cause}; ${registers}`;
}
