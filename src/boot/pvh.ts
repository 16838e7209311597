// The PVH start info: what a loader tells a kernel that is entered by its Xen note
// (Xen public/arch-x86/hvm/start_info.h, version 1).

import { ByteWriter } from "../firmware/byte_writer.ts";
import type { AddressRange, E820Entry } from "../firmware/e820.ts";

const MAGIC = 0x336e_c578;
const VERSION = 1;
const START_INFO_SIZE = 56;
const MODULE_SIZE = 32;

/** What the start info says. */
export interface StartInfo {
  /** Where its first byte will lie; it holds addresses of its own parts. */
  readonly address: number;
  readonly e820: readonly E820Entry[];
  readonly commandLineAddress: number;
  readonly initrd: AddressRange | undefined;
  readonly rsdpAddress: number | undefined;
}

/** Start info, module list and memory map in one piece. */
export function buildStartInfo(info: StartInfo): Uint8Array {
  const modulesAddress = info.address + START_INFO_SIZE;
  const memoryMapAddress = modulesAddress + MODULE_SIZE;
  const hasInitrd = info.initrd !== undefined;
  const writer = new ByteWriter()
    .u32(MAGIC, VERSION, 0, hasInitrd ? 1 : 0)
    .u64(hasInitrd ? modulesAddress : 0, info.commandLineAddress, info.rsdpAddress ?? 0)
    .u64(memoryMapAddress)
    .u32(info.e820.length, 0)
    .u64(info.initrd?.address ?? 0, info.initrd?.size ?? 0, 0, 0);
  for (const entry of info.e820) writer.u64(entry.address, entry.size).u32(entry.type, 0);
  return writer.finish();
}
