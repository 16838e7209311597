// A network namespace of a test's own: what is made inside it is unseen by the host and gone at the
// end. Needs root and /dev/net/tun.

import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import type { DeviceHost } from "./bus_machine.ts";
import { FrameSocket } from "./datagrams.ts";
import { libc, must } from "./libc.ts";

const CLONE_NEWNET = 0x40000000;
const AF_NETLINK = 16;
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SIOCGIFINDEX = 0x8933;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const RTM_DELLINK = 17;
const NLM_F_REQUEST = 1;
const NAME_SIZE = 16;
const NAMESPACE = "/proc/thread-self/ns/net";

/** Why there is no such namespace here; undefined when there can be. */
export function whyNoNetwork(): string | undefined {
  if (process.getuid?.() === 0 && existsSync("/dev/net/tun")) return undefined;
  const reason = "taps of a test need root and /dev/net/tun";
  console.log(`skipped: ${reason}`);
  return reason;
}

export class TestNetwork {
  readonly #host: DeviceHost;
  readonly #own: number;
  readonly #before: number;

  constructor(host: DeviceHost) {
    this.#host = host;
    this.#before = openSync(NAMESPACE, "r");
    must("unshare", libc.unshare(CLONE_NEWNET));
    try {
      this.#own = openSync(NAMESPACE, "r");
      // No frames of the kernel's own disturb the test.
      writeFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    } finally {
      must("setns", libc.setns(this.#before, CLONE_NEWNET));
    }
    host.onClose(() => closeSync(this.#own));
    host.onClose(() => closeSync(this.#before));
  }

  /** Runs `body`, which must not wait, with this thread inside. */
  inside<T>(body: () => T): T {
    must("setns", libc.setns(this.#own, CLONE_NEWNET));
    try {
      return body();
    } finally {
      must("setns", libc.setns(this.#before, CLONE_NEWNET));
    }
  }

  /** Brings an interface up; what comes and goes there shows on the socket. */
  listen(name: string, etherType: number): FrameSocket {
    return this.inside(() => {
      const type = ((etherType & 0xff) << 8) | (etherType >> 8);
      const kind = SOCK_RAW | SOCK_CLOEXEC;
      const socket = must("socket", libc.socket(AF_PACKET, kind, type));
      this.#host.onClose(() => closeSync(socket));
      const address = new DataView(new ArrayBuffer(20));
      address.setUint16(0, AF_PACKET, true);
      address.setUint16(2, etherType);
      address.setInt32(4, interfaceIndex(socket, name), true);
      const up = requestOf(name);
      up.setUint16(NAME_SIZE, IFF_UP, true);
      must("SIOCSIFFLAGS", libc.ioctl(socket, SIOCSIFFLAGS, bytesOf(up)));
      must("bind", libc.bind(socket, bytesOf(address), address.byteLength));
      return new FrameSocket(socket);
    });
  }

  /** Takes an interface away from whoever uses it. */
  remove(name: string): void {
    this.inside(() => {
      const socket = must("socket", libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
      const message = new DataView(new ArrayBuffer(32));
      message.setUint32(0, message.byteLength, true);
      message.setUint16(4, RTM_DELLINK, true);
      message.setUint16(6, NLM_F_REQUEST, true);
      message.setInt32(20, interfaceIndex(socket, name), true);
      must("send", libc.send(socket, bytesOf(message), message.byteLength, 0));
      closeSync(socket);
    });
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}

/** An ifreq (netdevice(7)). */
function requestOf(name: string): DataView {
  const request = new DataView(new ArrayBuffer(40));
  new TextEncoder().encodeInto(name, bytesOf(request));
  return request;
}

function interfaceIndex(socket: number, name: string): number {
  const request = requestOf(name);
  must("SIOCGIFINDEX", libc.ioctl(socket, SIOCGIFINDEX, bytesOf(request)));
  return request.getInt32(NAME_SIZE, true);
}
