// Where a socket is: a path, or an address and a port of tcp. Addresses become bytes here, so that
// a wrong one is found before anything is made.

import { UserError } from "../errors.ts";

export type SocketPlace =
  | { readonly transport: "unix"; readonly path: string }
  | { readonly transport: "tcp"; readonly host: string; readonly port: number };

interface SocketKeys {
  readonly path: string | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly server: boolean;
  readonly nowait: boolean;
}

/** Every address of this host (behaviour 1.9). */
const anyAddress = "0.0.0.0";

/** The place of a socket's keys; `owner` names the option for a sentence. */
export function socketPlace(owner: string, { path, host, port }: SocketKeys): SocketPlace {
  if (path !== undefined) {
    if (host === undefined && port === undefined) return { transport: "unix", path };
    const key = port === undefined ? "host" : "port";
    throw new UserError(`${owner} socket has both 'path' and '${key}'; give one of them.`);
  }
  if (port !== undefined) return tcpPlace(`host of ${owner} socket`, host ?? anyAddress, port);
  if (host !== undefined) throw new UserError(`${owner} socket with 'host=IP' needs 'port=N'.`);
  throw new UserError(`${owner} socket needs 'path=PATH' or 'port=N'.`);
}

/** Throws unless the keys of a socket fit together. */
export function checkSocket(owner: string, keys: SocketKeys): void {
  const place = socketPlace(owner, keys);
  if (keys.nowait && !keys.server) {
    throw new UserError(`${owner} socket has 'nowait', which needs 'server'.`);
  }
  if (place.transport === "tcp" && !keys.server && keys.host === undefined) {
    throw new UserError(`${owner} socket without 'server' needs 'host=IP' to connect to.`);
  }
}

/** A place of tcp, its address without brackets; `key` names it for a sentence. */
export function tcpPlace(key: string, host: string, port: number): SocketPlace {
  const bare = host.replace(/^\[|\]$/g, "");
  if (addressBytes(bare) !== undefined) return { transport: "tcp", host: bare, port };
  throw new UserError(
    `Bad value '${host}' for ${key}: expected an IP address like 127.0.0.1 or [::1].`,
  );
}

/** How a place is named in a sentence, and told apart from others. */
export function placeName(place: SocketPlace): string {
  if (place.transport === "unix") return place.path;
  const host = place.host.includes(":") ? `[${place.host}]` : place.host;
  return `${host}:${place.port}`;
}

const GROUP_COUNT = 8;

/** 4 bytes of an IPv4 or 16 of an IPv6 address (RFC 4291, 2.2); undefined when it is neither. */
export function addressBytes(host: string): readonly number[] | undefined {
  if (host === "localhost") return [127, 0, 0, 1];
  return host.includes(":") ? ipv6Bytes(host) : ipv4Bytes(host);
}

function ipv4Bytes(host: string): readonly number[] | undefined {
  const parts = host.split(".");
  const isByte = (part: string): boolean => /^\d{1,3}$/.test(part) && Number(part) < 256;
  return parts.length === 4 && parts.every(isByte) ? parts.map(Number) : undefined;
}

function ipv6Bytes(host: string): readonly number[] | undefined {
  const [head = "", tail, ...more] = host.split("::");
  const before = groupBytes(head);
  const after = groupBytes(tail ?? "");
  if (before === undefined || after === undefined || more.length > 0) return undefined;
  const missing = 2 * GROUP_COUNT - before.length - after.length;
  const fits = tail === undefined ? missing === 0 : missing >= 2;
  return fits ? [...before, ...Array<number>(missing).fill(0), ...after] : undefined;
}

function groupBytes(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
