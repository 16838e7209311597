// The host side of guest memory: opens what a zone is backed by (behaviour 0.2) and learns the size
// of its pages.

import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  readFileSync,
  statfsSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { pathModule } from "../builtin.ts";
import type { Core } from "../core/core.ts";
import { createMemoryFile } from "../core/host_calls.ts";
import { errorCode, UserError } from "../errors.ts";
import type { MemoryZone } from "../options/config.ts";
import { formatSize } from "../options/values.ts";
import { openForUser, openStored } from "./file.ts";

/** What a zone's memory is mapped from. */
export interface MemoryBackend {
  /** -1: anonymous memory. */
  readonly fd: number;
  readonly pageSize: number;
  close(): void;
}

const PAGE_SIZE = 4096;
/** statfs(2). */
const HUGETLBFS = 0x9584_58f6;

/** Opens the back end of a zone; it stays open, so that other processes can be given it. */
export function openMemoryBackend(core: Core, zone: MemoryZone): MemoryBackend {
  checkHostNodes(zone);
  if (zone.path !== undefined) return openFile(zone, zone.path);
  if (zone.kind === "ram" && !zone.share) return { fd: -1, pageSize: PAGE_SIZE, close: () => {} };
  const fd = createMemoryFile(core, zone.sizeBytes);
  return { fd, pageSize: PAGE_SIZE, close: () => closeSync(fd) };
}

function openFile(zone: MemoryZone, path: string): MemoryBackend {
  const pageSize = pageSizeOf(path);
  checkWhole(zone, path, pageSize);
  const fd = isFolder(path) ? openTemporary(zone, path) : openNamed(zone, path);
  try {
    giveSize(zone, path, fd);
    return { fd, pageSize, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // What is wrong with the path, opening it tells.
    return false;
  }
}

function useOf(zone: MemoryZone, flags: number) {
  const what = `The file of ${zone.what}`;
  return { what, option: "mem-path", flags: constants.O_RDWR | flags, mode: 0o600 };
}

/** A file without a name: it goes with its last user. */
function openTemporary(zone: MemoryZone, folder: string): number {
  const path = `${folder}/stratovirt_backmem_${crypto.randomUUID().slice(0, 8)}`;
  const fd = openForUser(path, useOf(zone, constants.O_CREAT | constants.O_EXCL));
  unlinkSync(path);
  return fd;
}

function openNamed(zone: MemoryZone, path: string): number {
  const use = useOf(zone, constants.O_CREAT);
  const fd = openStored(path, use, "a file or a folder");
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new UserError(
    `${use.what} '${path}' (${use.option}) is a block device; a file or a folder is needed.`,
  );
}

/** Huge pages are the file system's blocks; everything else has the processor's pages. */
function pageSizeOf(path: string): number {
  for (const place of [path, pathModule().dirname(path)]) {
    try {
      const system = statfsSync(place);
      return system.type === HUGETLBFS ? system.bsize : PAGE_SIZE;
    } catch {
      // A file that is not there yet will lie where its folder does.
    }
  }
  return PAGE_SIZE;
}

function checkWhole({ what, sizeBytes }: MemoryZone, path: string, pageSize: number): void {
  if (sizeBytes % pageSize === 0) return;
  const pages = `the pages of ${formatSize(pageSize)} that '${path}' has`;
  throw new UserError(`The size of ${what}, ${formatSize(sizeBytes)}, is no multiple of ${pages}.`);
}

/** A new or empty file gets its size; one that is large enough is used with what it holds. */
function giveSize({ what, sizeBytes }: MemoryZone, path: string, fd: number): void {
  const { size } = fstatSync(fd);
  if (size >= sizeBytes) return;
  if (size !== 0) {
    const sizes = `${formatSize(size)}, but ${formatSize(sizeBytes)} are needed`;
    throw new UserError(
      `The file '${path}' of ${what} has ${sizes}; make it larger, or name a new file.`,
    );
  }
  try {
    ftruncateSync(fd, sizeBytes);
  } catch (error) {
    const code = errorCode(error);
    throw new UserError(
      `The file '${path}' of ${what} cannot have ${formatSize(sizeBytes)} (${code}); ` +
        "use a file system that can hold it.",
    );
  }
}

/** Throws for a host node that this host does not have. */
function checkHostNodes({ what, hostNodes }: MemoryZone): void {
  if (hostNodes.length === 0) return;
  const present = nodesOfHost();
  const missing = hostNodes.find((node) => !present?.includes(node));
  if (present === undefined || missing === undefined) return;
  const has = present.length === 1 ? "only the node" : "the nodes";
  throw new UserError(
    `The host node ${missing} of ${what} does not exist; this host has ${has} ` +
      `${present.join(", ")}.`,
  );
}

/** Nodes with memory; undefined where the host does not tell, and the kernel has to. */
function nodesOfHost(): number[] | undefined {
  let text: string;
  try {
    text = readFileSync("/sys/devices/system/node/has_memory", "utf8").trim();
  } catch {
    // A kernel without memory nodes has no such file, and a jail may be without it.
    return undefined;
  }
  return text.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
