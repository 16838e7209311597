// Whether this host has a KVM that tests may use; says why not, once.

import { closeSync, openSync } from "node:fs";

function probe(): boolean {
  try {
    closeSync(openSync("/dev/kvm", "r+"));
    return true;
  } catch (error) {
    console.log(`skipped: tests with KVM (/dev/kvm cannot be opened: ${error})`);
    return false;
  }
}

export const hasKvm = probe();
