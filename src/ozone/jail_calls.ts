// The kernel calls of zig/host/jail.zig as functions that throw. All act on the calling thread.

import { constants } from "node:os";
import {
  FailureLayout,
  JailEnterParamsLayout,
  JailExitLayout,
  JailLimitLayout,
  JailMountParamsLayout,
  JailNodeParamsLayout,
  Operation,
  Status,
} from "../core/abi.gen.ts";
import { type Library, loadLibrary } from "../core/library.ts";
import { decode, encode, encodeArray } from "../core/struct.ts";
import type { ResourceLimit } from "./resource_limits.ts";

/** CLONE_NEW… of sched.h. */
export const Namespace = { mount: 0x0002_0000, uts: 0x0400_0000, ipc: 0x0800_0000 } as const;
/** MS_… of sys/mount.h. */
export const MountFlag = {
  readOnly: 1,
  noSuid: 2,
  noDevices: 4,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  slave: 1 << 19,
} as const;

/** What jail_enter starts; paths of the host but for `program`. */
export interface JailEntry {
  readonly root: string;
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly groupDescriptors: readonly number[];
  readonly limits: readonly ResourceLimit[];
  readonly uid: number;
  readonly gid: number;
  readonly capabilities: number;
  readonly pidNamespace: boolean;
  /** A first process stays in the PID namespace until all others have ended. */
  readonly keepInit: boolean;
}

/** How the program ended. */
export interface JailExit {
  readonly code: number;
  /** 0 when it ended by itself. */
  readonly signal: number;
}

/** A refused kernel call, shaped like node:fs's errors. */
export class JailCallError extends Error {
  override readonly name = "JailCallError";
  readonly operation: Operation;
  /** "EPERM" and the like. */
  readonly code: string;
  /** The number that names the thing, as in zig/host. */
  readonly value: number;

  constructor(operation: Operation, errno: number, value: number) {
    const entry = Object.entries(constants.errno).find(([, number]) => number === errno);
    const code = entry?.[0] ?? `error ${errno}`;
    super(code);
    this.operation = operation;
    this.code = code;
    this.value = value;
  }
}

/** What the parameters of the next call point to, so that it outlives the collector until then. */
let held: Uint8Array[] = [];

function hold(bytes: Uint8Array): Uint8Array {
  held.push(bytes);
  return bytes;
}

function textOf(value: string): Uint8Array {
  return hold(new TextEncoder().encode(`${value}\0`));
}

function call(action: (library: Library, failure: Uint8Array) => number): void {
  const failure = new Uint8Array(FailureLayout.size);
  const status = action(loadLibrary(), failure);
  held = [];
  if (status === Status.ok) return;
  const { operation, errno, value } = decode(FailureLayout, failure);
  throw new JailCallError(operation as Operation, errno, value);
}

/** Loads the library; without it no step of a jail should begin. */
export function prepare(): void {
  loadLibrary();
}

/** Takes the lock of an open folder, or throws EAGAIN while another process has it. */
export function lock(descriptor: number): void {
  call((library, failure) => library.jail_lock(descriptor, failure));
}

/** New namespaces for this thread: the sum of Namespace values. */
export function unshare(namespaces: number): void {
  call((library, failure) => library.jail_unshare(namespaces, failure));
}

export function joinNetwork(descriptor: number): void {
  call((library, failure) => library.jail_join_network(descriptor, failure));
}

export function setHostName(name: string): void {
  const bytes = new TextEncoder().encode(name);
  call((library, failure) => library.jail_set_host_name(bytes, bytes.length, failure));
}

/** `flags` is a sum of MountFlag values. */
export function mount(source: string, target: string, flags: number): void {
  const params = encode(JailMountParamsLayout, {
    source: textOf(source),
    target: textOf(target),
    flags,
  });
  call((library, failure) => library.jail_mount(params, failure));
}

/** Detaches the mount, also when it is in use. */
export function unmount(target: string): void {
  call((library, failure) => library.jail_unmount(textOf(target), failure));
}

export function makeNode(path: string, mode: number, major: number, minor: number): void {
  const params = encode(JailNodeParamsLayout, { path: textOf(path), mode, major, minor });
  call((library, failure) => library.jail_make_node(params, failure));
}

/** Starts the program and blocks until it has ended; signals go on to it meanwhile. */
export function enter(entry: JailEntry): JailExit {
  const programArguments = textOf(entry.arguments.join("\0"));
  const environment = textOf(entry.environment.join("\0"));
  const limits = hold(encodeArray(JailLimitLayout, entry.limits));
  const [groupFd = -1, secondGroupFd = -1] = entry.groupDescriptors;
  const params = encode(JailEnterParamsLayout, {
    root: textOf(entry.root),
    program: textOf(entry.program),
    arguments: programArguments,
    argumentsSize: programArguments.length,
    environment,
    environmentSize: environment.length,
    argumentCount: entry.arguments.length,
    environmentCount: entry.environment.length,
    limits,
    limitCount: entry.limits.length,
    uid: entry.uid,
    gid: entry.gid,
    groupFd,
    secondGroupFd,
    pidNamespace: Number(entry.pidNamespace),
    keepInit: Number(entry.keepInit),
    capabilities: entry.capabilities,
  });
  const exit = new Uint8Array(JailExitLayout.size);
  call((library, failure) => library.jail_enter(params, exit, failure));
  return decode(JailExitLayout, exit);
}

/** What the child could not do, to go after "Cannot"; `value` as zig/host sets it. */
export function describeOperation(error: JailCallError): string {
  switch (error.operation) {
    case Operation.cgroupJoin:
      return "join the control group";
    case Operation.pivotRoot:
      return "make the jail the root";
    case Operation.closeFiles:
      return "close the open files";
    case Operation.resourceLimit:
      return `set the resource limit number ${error.value}`;
    case Operation.capabilityBound:
    case Operation.capabilitySet:
      return "set the capabilities";
    case Operation.userIds:
      return "become the user and group";
    case Operation.noNewPrivileges:
      return "forbid new privileges";
    case Operation.programStart:
      return "start the executable";
    default:
      return "start a process";
  }
}
