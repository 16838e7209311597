// The path of a unix socket before somebody listens there: what a dead process left is removed,
// anything else is refused.

import { lstatSync, rmSync, type Stats } from "node:fs";
import type { Core } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { isSocketInUse } from "../core/host_calls.ts";
import { errorCode, listenFault, UserError } from "../errors.ts";
import { unixAddress } from "./socket_address.ts";

/** Makes way for a new socket; `what` begins a sentence: "The QMP socket '/run/vm'". */
export function clearSocketPath(core: Core, path: string, what: string): void {
  const status = statusOf(path, what);
  if (status === undefined) return;
  if (!status.isSocket()) {
    throw new UserError(`${what} exists and is no socket; choose another path.`);
  }
  if (belongsToSomebody(core, path, what)) {
    throw new UserError(`${what} is in use by another process; choose another.`);
  }
  rmSync(path, { force: true });
}

function statusOf(path: string, what: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new UserError(`${what} cannot be made: ${listenFault(errorCode(error))}.`);
  }
}

function belongsToSomebody(core: Core, path: string, what: string): boolean {
  try {
    return isSocketInUse(core, unixAddress(path));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const reason = errnoText(error.errno);
    throw new UserError(`${what} may belong to another process (${reason}); choose another.`);
  }
}
