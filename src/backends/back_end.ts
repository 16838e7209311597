// A process that serves a device over vhost-user: why there is none, in words.

import { BackEndCause } from "../core/abi.gen.ts";
import { type CoreError, errnoText } from "../core/error.ts";
import { UserError } from "../errors.ts";
import type { BackEndConfig } from "../options/vhost_user.ts";

/** What ended a connection, as the rest of a sentence about the back end. */
export function whatItDid(cause: BackEndCause, errno: number): string {
  switch (cause) {
    case BackEndCause.unreachableAddress:
      return `cannot be reached (${errnoText(errno)})`;
    case BackEndCause.silent:
      return "does not answer";
    case BackEndCause.form:
      return "sent a message that is no answer to what it was asked";
    case BackEndCause.size:
      return "sent a message of the wrong length";
    case BackEndCause.descriptors:
      return "sent descriptors that do not belong to its message";
    case BackEndCause.answer:
      return "sent an answer that cannot be true";
    case BackEndCause.refused:
      return "refused a request";
    case BackEndCause.features:
      return "lacks a feature that the device needs";
    case BackEndCause.queues:
      return "serves fewer queues than the device has";
    default:
      return "closed the connection";
  }
}

/** Why a device could not be made with its back end. */
export function backEndError(deviceId: string, backEnd: BackEndConfig, error: CoreError): Error {
  const cause = error.value as BackEndCause;
  const what = whatItDid(cause, error.errno);
  return new UserError(
    `The back end of device '${deviceId}' at '${backEnd.path}' ${what}; ${remedy(cause, backEnd)}.`,
  );
}

function remedy(cause: BackEndCause, { id }: BackEndConfig): string {
  switch (cause) {
    case BackEndCause.unreachableAddress:
      return `start it before the machine, or correct the path of chardev '${id}'`;
    case BackEndCause.queues:
      return "start it with more queues, or give the device fewer";
    case BackEndCause.closed:
    case BackEndCause.silent:
      return "see whether it serves another machine, and what it says itself";
    default:
      return "use one that speaks vhost-user for this kind of device";
  }
}
