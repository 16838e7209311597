// A sockaddr as bytes: how an address crosses into Zig (unix(7), ip(7), ipv6(7)).

import { UserError } from "../errors.ts";
import { addressBytes, type SocketPlace } from "../options/socket_place.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
/** Bytes of sun_path, with the zero that ends it. */
const UNIX_PATH_SIZE = 108;
const INET_SIZE = 16;
const INET6_SIZE = 28;
const IPV4_SIZE = 4;

export function socketAddress(place: SocketPlace): Uint8Array {
  return place.transport === "unix" ? unixAddress(place.path) : tcpAddress(place.host, place.port);
}

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

/** The port in the order of the network; an IPv6 address stands behind its flow label. */
function tcpAddress(host: string, port: number): Uint8Array {
  const bytes = addressBytes(host);
  if (bytes === undefined) throw new UserError(`'${host}' is no IP address.`);
  const isShort = bytes.length === IPV4_SIZE;
  const address = new Uint8Array(isShort ? INET_SIZE : INET6_SIZE);
  const view = new DataView(address.buffer);
  view.setUint16(0, isShort ? AF_INET : AF_INET6, true);
  view.setUint16(2, port, false);
  address.set(bytes, isShort ? 4 : 8);
  return address;
}
