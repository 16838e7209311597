// Hardware addresses of network devices: those that the user leaves out are given in order from
// 52:54:00:12:34:56 to 52:54:00:12:34:fe, around those that are given (behaviour 4.4).

import { UserError } from "../errors.ts";

const prefix = "52:54:00:12:34:";
const first = 0x56;
const last = 0xfe;

/** The lowest default address that is not in `taken`, which holds lower-case addresses. */
export function nextMacAddress(taken: ReadonlySet<string>): string {
  for (let byte = first; byte <= last; byte += 1) {
    const address = prefix + byte.toString(16);
    if (!taken.has(address)) return address;
  }
  throw new UserError("There is no default MAC address left; give the device one: mac=MAC.");
}

/** Refuses what no single card can have: a group's address, and no address at all. */
export function checkMacAddress(device: string, address: string): void {
  const why = /^.[13579bdf]/.test(address)
    ? "is one of a group"
    : /^[0:]*$/.test(address)
      ? "is empty"
      : undefined;
  if (why === undefined) return;
  throw new UserError(
    `The MAC address '${address}' of the device '${device}' ${why}; ` +
      "use one of a card, like 52:54:00:12:34:56.",
  );
}
