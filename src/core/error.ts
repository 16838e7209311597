// A failure below the boundary, as a value with its cause and as a sentence.

import { osModule } from "../builtin.ts";
import { Capability, Operation, Status } from "./abi.gen.ts";

/** Why a call into the core failed. */
export class CoreError extends Error {
  override readonly name = "CoreError";
  readonly status: Status;
  readonly operation: Operation;
  /** Positive Linux error number; 0 when the kernel was not the one that refused. */
  readonly errno: number;
  /** The number that names the thing: an address, a capability, a vCPU. */
  readonly value: number;

  constructor(
    call: string,
    status: Status,
    cause: { readonly operation: Operation; readonly errno: number; readonly value: number },
  ) {
    super(sentenceOf(call, status, cause));
    this.status = status;
    this.operation = cause.operation;
    this.errno = cause.errno;
    this.value = cause.value;
  }
}

/** Of a call that has no core to keep its cause. */
export const noCause = { operation: Operation.none, errno: 0, value: 0 } as const;

function sentenceOf(
  call: string,
  status: Status,
  cause: { readonly operation: Operation; readonly errno: number; readonly value: number },
): string {
  if (status === Status.unsupported && cause.operation === Operation.kvmCheckExtension) {
    return `the host's KVM lacks the capability ${capabilityName(cause.value)}, which is needed`;
  }
  if (status === Status.host && cause.operation === Operation.kvmApiVersion) {
    const found = cause.errno === 0 ? `API version ${cause.value}` : errnoText(cause.errno);
    return `the device that was opened as /dev/kvm is not KVM with API version 12 (${found})`;
  }
  if (status === Status.host) {
    const reason = `${errnoText(cause.errno)} (value ${cause.value})`;
    return `${nameOf(Operation, cause.operation)} failed: ${reason}`;
  }
  return `${call} failed: ${nameOf(Status, status)}`;
}

function capabilityName(value: number): string {
  return `KVM_CAP_${nameOf(Capability, value).replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(values).find(([, number]) => number === value)?.[0] ?? String(value);
}

/** "EACCES" for 13, and so on. */
export function errnoText(errno: number): string {
  return nameOf(osModule().constants.errno, errno);
}
