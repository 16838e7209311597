// A sockaddr as bytes: how a unix address crosses into Zig (unix(7)).

import { UserError } from "../errors.ts";

const AF_UNIX = 1;
/** Bytes of sun_path, with the zero that ends it. */
const UNIX_PATH_SIZE = 108;

export function unixAddress(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length >= UNIX_PATH_SIZE) {
    throw new UserError(
      `The socket path '${path}' has ${bytes.length} bytes; ` +
        `at most ${UNIX_PATH_SIZE - 1} are allowed.`,
    );
  }
  const address = new Uint8Array(2 + bytes.length + 1);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  return address;
}
