// Sockets that keep frames apart, as a tap does: in a test they stand where a tap would.

import { closeSync } from "node:fs";
import type { DeviceHost } from "./bus_machine.ts";
import { libc, must } from "./libc.ts";
import { until } from "./until.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const FRAME_SIZE_MAX = 2 ** 17;

/** One end of a socket of frames, without blocking. */
export class FrameSocket {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** False when there is no room. */
  send(frame: Uint8Array): boolean {
    const sent = libc.send(this.fd, frame, frame.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return Number(sent) === frame.length;
  }

  /** Undefined when there is none. */
  take(): Uint8Array | undefined {
    const bytes = new Uint8Array(FRAME_SIZE_MAX);
    const size = Number(libc.recv(this.fd, bytes, bytes.length, MSG_DONTWAIT));
    return size < 0 ? undefined : bytes.slice(0, size);
  }

  async receive(): Promise<Uint8Array> {
    let frame: Uint8Array | undefined;
    await until("a frame", () => {
      frame = this.take();
      return frame !== undefined;
    });
    return frame ?? new Uint8Array(0);
  }
}

/** Two connected ends: what one sends waits in the other, up to a few frames. */
export function openFramePair(host: DeviceHost): { device: number; peer: FrameSocket } {
  const pair = new Int32Array(2);
  const kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  must("socketpair", libc.socketpair(AF_UNIX, kind, 0, pair));
  const [device = -1, peer = -1] = pair;
  host.onClose(() => closeSync(device));
  host.onClose(() => closeSync(peer));
  return { device, peer: new FrameSocket(peer) };
}

/** A socket that takes every frame at once and drops what nobody reads. */
export function openFrameSink(host: DeviceHost): number {
  const kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const [device, peer] = [0, 1].map(() => must("socket", libc.socket(AF_INET, kind, 0)));
  if (device === undefined || peer === undefined) throw new Error("there are no sockets");
  const address = Uint8Array.of(AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  must("bind", libc.bind(peer, address, address.length));
  must("getsockname", libc.getsockname(peer, address, Uint32Array.of(address.length)));
  must("connect", libc.connect(device, address, address.length));
  host.onClose(() => closeSync(device));
  host.onClose(() => closeSync(peer));
  return device;
}
