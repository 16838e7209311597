// Confines the process by the filters that seccomp-profiles/ was compiled to. Called once, when the
// machine is built and its vCPUs wait: what needs more than the filters allow must be done before.

import { SeccompParamsLayout } from "../core/abi.gen.ts";
import type { Core } from "../core/core.ts";
import { isStaticProgram } from "../core/library.ts";
import { encode } from "../core/struct.ts";
import { UserError } from "../errors.ts";
import { SECCOMP_PROGRAMS } from "./seccomp.gen.ts";

const INSTRUCTION_SIZE = 8;

export interface FilterPrograms {
  readonly main: Uint8Array;
  readonly vcpu: Uint8Array;
  readonly iothread: Uint8Array;
}

/** Whether the machine has vhost-user devices, whose threads connect to other processes. */
export type FilterScope = "alone" | "with back ends";

/** The filters for this processor and the C library that the program runs with. */
export function filterPrograms(scope: FilterScope = "alone"): FilterPrograms {
  const variant = isStaticProgram() ? "static" : "development";
  const texts = SECCOMP_PROGRAMS[architectureName()][variant];
  const isAlone = scope === "alone";
  return {
    main: Uint8Array.fromBase64(isAlone ? texts.main : texts.mainWithBackEnds),
    vcpu: Uint8Array.fromBase64(texts.vcpu),
    iothread: Uint8Array.fromBase64(isAlone ? texts.iothread : texts.iothreadWithBackEnds),
  };
}

/**
 * Installs the filters for good on every thread; a violation is told to `logFd` and ends the
 * process with 159. Throws a CoreError when the kernel refuses.
 */
export function confineProcess(core: Core, logFd: number, programs = filterPrograms()): void {
  core.installSeccomp(
    encode(SeccompParamsLayout, {
      main: programs.main,
      vcpu: programs.vcpu,
      iothread: programs.iothread,
      mainCount: programs.main.length / INSTRUCTION_SIZE,
      vcpuCount: programs.vcpu.length / INSTRUCTION_SIZE,
      iothreadCount: programs.iothread.length / INSTRUCTION_SIZE,
      logFd,
    }),
  );
}

function architectureName(): keyof typeof SECCOMP_PROGRAMS {
  switch (process.arch) {
    case "x64":
      return "x86_64";
    case "arm64":
      return "aarch64";
    default:
      throw new UserError(
        `There are no system call filters for ${process.arch}; -disable-seccomp goes without.`,
      );
  }
}
