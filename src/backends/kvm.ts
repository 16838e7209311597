// Opens the host's KVM, with a sentence for each way in which a host can be without.

import { openSync } from "node:fs";
import { errorCode, UserError } from "../errors.ts";

const PATH = "/dev/kvm";

/** A descriptor of /dev/kvm. */
export function openKvm(): number {
  try {
    return openSync(PATH, "r+");
  } catch (error) {
    const code = errorCode(error);
    throw new UserError(`The host's KVM, '${PATH}', ${reasonOf(code)}`);
  }
}

function reasonOf(code: string): string {
  switch (code) {
    case "ENOENT":
    case "ENXIO":
    case "ENODEV":
      return "is not there; load the module kvm_intel or kvm_amd, or use a host that can run VMs.";
    case "EACCES":
    case "EPERM":
      return (
        `may not be opened by user ${process.getuid?.() ?? "?"}; ` +
        "add the user to the group kvm, or change the permissions."
      );
    default:
      return `cannot be opened (${code}); it must be the character device of KVM.`;
  }
}
