// Whether this host's kernel has vhost devices, which tests of them need.

import { closeSync, openSync } from "node:fs";
import { errorCode } from "../../src/errors.ts";

/** Why there is none; undefined when there is. Opening one loads its module. */
export function whyNoVhost(path: "/dev/vhost-net" | "/dev/vhost-vsock"): string | undefined {
  try {
    closeSync(openSync(path, "r+"));
    return undefined;
  } catch (error) {
    const reason = `this host has no ${path} (${errorCode(error)}); the lab has one`;
    console.log(`skipped: ${reason}`);
    return reason;
  }
}
