// System calls that tests need and Bun does not have: sockets of any family, namespaces, ioctl.

import { dlopen, ptr } from "bun:ffi";

const { symbols } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  sendmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
  unshare: { args: ["i32"], returns: "i32" },
  setns: { args: ["i32", "i32"], returns: "i32" },
});

export const libc = symbols;

/** The answer of a call that may not fail. */
export function must(call: string, answer: number | bigint): number {
  if (Number(answer) < 0) throw new Error(`${call} failed`);
  return Number(answer);
}

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const HEADER_SIZE = 16;

/** Sends bytes with descriptors (unix(7), cmsg(3)); the descriptors stay the caller's. */
export function sendDescriptors(socket: number, bytes: Uint8Array, fds: readonly number[]): void {
  const control = new DataView(new ArrayBuffer(HEADER_SIZE + 4 * fds.length));
  control.setBigUint64(0, BigInt(control.byteLength), true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  fds.forEach((fd, index) => {
    control.setInt32(HEADER_SIZE + 4 * index, fd, true);
  });
  const controlBytes = new Uint8Array(control.buffer);
  const piece = BigUint64Array.of(BigInt(ptr(bytes)), BigInt(bytes.length));
  const message = new BigUint64Array(7);
  message.set([0n, 0n, BigInt(ptr(piece)), 1n, BigInt(ptr(controlBytes))]);
  message[5] = BigInt(controlBytes.length);
  const sent = must("sendmsg", symbols.sendmsg(socket, message, 0));
  if (sent !== bytes.length) throw new Error(`${sent} of ${bytes.length} bytes were sent`);
}
