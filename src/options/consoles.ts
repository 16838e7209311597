// -serial, -qmp and -mon: who uses which character device. Ids are looked up late, so that
// `-serial chardev:ID` finds a -chardev wherever it stands.

import { UserError } from "../errors.ts";
import type { Values } from "./build_config.ts";
import type { ChardevConfig, Config, QmpEndpoint, SerialValue } from "./config.ts";
import { serialVariants } from "./declarations/backends.ts";
import { monKeys, qmpVariants } from "./declarations/process.ts";
import { parseKeys, parseVariant } from "./parse.ts";
import { checkSocket, socketPlace, tcpPlace } from "./socket_place.ts";
import { didYouMean } from "./suggest.ts";

/** The id of the chardev that a plain -serial makes. */
export const serialChardevId = "serial_chardev";

type Consoles = Pick<Config, "chardevs" | "serial" | "qmp">;

/** The chardev with an id, or a UserError that names who asked for it. */
function findChardev(owner: string, chardevs: readonly ChardevConfig[], id: string): ChardevConfig {
  const found = chardevs.find((chardev) => chardev.id === id);
  if (found !== undefined) return found;
  const known = chardevs.map((chardev) => chardev.id);
  const hint = didYouMean(id, known, "Add a -chardev with this id.");
  throw new UserError(`${owner} names the chardev '${id}', which does not exist.${hint}`);
}

function addSerial(serial: SerialValue, chardevs: ChardevConfig[]): { readonly chardev: string } {
  if (serial.backend === "chardev") {
    return { chardev: findChardev("-serial", chardevs, serial.id).id };
  }
  if (serial.backend === "socket") checkSocket("-serial", serial);
  chardevs.push({ ...serial, id: serialChardevId });
  return { chardev: serialChardevId };
}

function splitAddress(address: string): QmpEndpoint {
  const colon = address.lastIndexOf(":");
  const port = Number(address.slice(colon + 1));
  if (port < 1 || port > 65535) {
    throw new UserError(`Bad port '${port}' of -qmp tcp: expected a number from 1 to 65535.`);
  }
  return tcpPlace("-qmp tcp", address.slice(0, colon), port);
}

function qmpEndpoint(source: string): QmpEndpoint {
  const qmp = parseVariant("-qmp", "transport", qmpVariants, source);
  return qmp.transport === "unix"
    ? { transport: "unix", path: qmp.path }
    : splitAddress(qmp.address);
}

function monitorEndpoint(source: string, chardevs: ChardevConfig[]): QmpEndpoint {
  const mon = parseKeys("-mon", monKeys, source);
  const chardev = findChardev("-mon", chardevs, mon.chardev);
  if (chardev.backend !== "socket" || !chardev.server) {
    throw new UserError(`-mon needs the chardev '${chardev.id}' to be a socket with 'server'.`);
  }
  chardevs.splice(chardevs.indexOf(chardev), 1);
  return socketPlace("-chardev", chardev);
}

/** Chardevs with their users; -mon takes its chardev away from the list. */
export function buildConsoles(values: Values, given: readonly ChardevConfig[]): Consoles {
  const chardevs = [...given];
  for (const chardev of chardevs) {
    if (chardev.backend === "socket") checkSocket("-chardev", chardev);
  }
  const [serialSource] = values("serial");
  const serial =
    serialSource === undefined
      ? undefined
      : addSerial(parseVariant("-serial", "backend", serialVariants, serialSource), chardevs);
  const monitors = values("mon").map((source) => {
    const endpoint = monitorEndpoint(source, chardevs);
    if (serial !== undefined && !chardevs.some((chardev) => chardev.id === serial.chardev)) {
      const who = "is used by -serial and by -mon";
      throw new UserError(`The chardev '${serial.chardev}' ${who}; give each its own.`);
    }
    return endpoint;
  });
  return { chardevs, serial, qmp: [...values("qmp").map(qmpEndpoint), ...monitors] };
}
