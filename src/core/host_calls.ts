// Calls of the core for the host side of devices: files, sockets, terminals, taps, vhost.
// Descriptors that come back are the caller's to close.

import { DirectAlignmentLayout } from "./abi.gen.ts";
import type { Core } from "./core.ts";
import { loadLibrary } from "./library.ts";
import type { StructValue } from "./struct.ts";

/** A file in memory that nobody can resize: its descriptor, which the caller closes. */
export function createMemoryFile(core: Core, size: number): number {
  return core.ask("getInt32", "host_memory_file", size);
}

/** A listening socket for Zig to accept on; `address` is a sockaddr. */
export function listen(core: Core, address: Uint8Array): number {
  return core.ask("getInt32", "host_listen", address, address.length);
}

/** A socket that is connected to a sockaddr; the caller closes it or gives it to a chardev. */
export function connect(core: Core, address: Uint8Array): number {
  return core.ask("getInt32", "host_connect", address, address.length);
}

/** Whether a process holds the unix socket at a sockaddr; nobody is disturbed. */
export function isSocketInUse(core: Core, address: Uint8Array): boolean {
  return core.ask("getUint32", "host_socket_in_use", address, address.length) !== 0;
}

/** Readable when somebody opens or leaves a pseudo terminal; `number` is its name in /dev/pts. */
export function watchPty(core: Core, number: number): number {
  return core.ask("getInt32", "host_watch_pty", number);
}

/** Makes an open /dev/ptmx usable; returns the number of its other end in /dev/pts. */
export function preparePty(core: Core, fd: number): number {
  return core.ask("getUint32", "host_prepare_pty", fd);
}

/** Locks an open file against other machines until its descriptor is closed. */
export function lockFile(core: Core, fd: number, mode: "shared" | "exclusive"): void {
  const exclusive = mode === "exclusive" ? 1 : 0;
  core.call("host_lock_file", fd, exclusive);
}

/** What O_DIRECT needs of an open file, in bytes; 0 each when the kernel does not say. */
export function directAlignment(core: Core, fd: number): StructValue<typeof DirectAlignmentLayout> {
  return core.read("host_direct_alignment", fd, DirectAlignmentLayout);
}

/** Ties an open /dev/net/tun to the interface of an ifreq, which the kernel completes. */
export function attachTap(core: Core, fd: number, request: Uint8Array): void {
  core.call("host_attach_tap", fd, request);
}

/** Fills an ifreq with name and flags of the interface behind a tap queue. */
export function inspectTap(core: Core, fd: number, request: Uint8Array): void {
  core.call("host_inspect_tap", fd, request);
}

/** Makes a tap queue ready for a device; returns the offloads (TUN_F_…) that it can do. */
export function prepareTap(core: Core, fd: number): number {
  return core.ask("getUint32", "host_prepare_tap", fd);
}

/** Ties an open /dev/vhost-net or /dev/vhost-vsock to this process; returns its features. */
export function openVhost(core: Core, fd: number): number {
  return core.ask("getBigUint64", "host_open_vhost", fd);
}

/** Gives an open /dev/vhost-vsock the address of its guest. */
export function setVsockGuest(core: Core, fd: number, guestCid: number): void {
  core.call("host_set_vsock_guest", fd, guestCid);
}

export function setTerminalRaw(core: Core, fd: number): void {
  core.call("terminal_set_raw", fd);
}

/** Writes what a descriptor takes without waiting; returns how many bytes that were. */
export function writeNow(fd: number, bytes: Uint8Array): number {
  const out = new Uint8Array(4);
  loadLibrary().host_write_now(fd, bytes, bytes.length, out);
  return new DataView(out.buffer).getUint32(0, true);
}

const VENDOR_SIZE = 12;

/** The maker of the host's processor, such as "GenuineIntel"; "" where it is not told. */
export function cpuVendor(): string {
  const out = new Uint8Array(VENDOR_SIZE);
  loadLibrary().cpu_vendor(out);
  return new TextDecoder().decode(out).replace(/\0+$/, "");
}
