// Calls of the core for snapshots: the states of VM, vCPUs and devices as bytes that only the core
// understands, and guest memory into a file. A restore goes memory, vCPUs, VM, devices.

import {
  BufferParamsLayout,
  ChecksumParamsLayout,
  CONSTANTS,
  LoadParamsLayout,
  MemorySaveParamsLayout,
  MemorySaveProgressLayout,
  Operation,
  StateParamsLayout,
  type StatePart,
  Status,
} from "./abi.gen.ts";
import type { Core } from "./core.ts";
import { CoreError } from "./error.ts";
import type { StructValue } from "./struct.ts";
import { decode, encode } from "./struct.ts";

export type MemorySave = StructValue<typeof MemorySaveParamsLayout>;
export type MemorySaveProgress = StructValue<typeof MemorySaveProgressLayout>;

/** Nearly every state fits. */
const USUAL_STATE_SIZE = 64 * 1024;

/** Every device finishes what is in flight and takes nothing new; the vCPUs are paused before. */
export function pauseDevices(core: Core): void {
  core.call("devices_pause");
}

/** Before the vCPUs go on; after a restore, too. */
export function unpauseDevices(core: Core): void {
  core.call("devices_unpause");
}

/** `id` is a vCPU's index or a device's id. The vCPUs are at rest and the devices paused. */
export function saveState(core: Core, part: StatePart, id = 0): Uint8Array {
  for (let size = USUAL_STATE_SIZE; ; ) {
    const bytes = new Uint8Array(size);
    const params = encode(StateParamsLayout, { part, id, bytes, size });
    try {
      core.call("state_save", params);
    } catch (error) {
      const needed = decode(StateParamsLayout, params).size;
      if (!isLimit(error) || needed <= size) throw error;
      size = needed;
      continue;
    }
    return bytes.subarray(0, decode(StateParamsLayout, params).size);
  }
}

/** Throws a CoreError for a state that is damaged or of another machine: see `stateFault`. */
export function restoreState(core: Core, part: StatePart, id: number, bytes: Uint8Array): void {
  core.call("state_restore", encode(StateParamsLayout, { part, id, bytes, size: bytes.length }));
}

/** Why a state is not saved or restored, as the end of a sentence; undefined for other errors. */
export function stateFault(error: unknown): string | undefined {
  if (!(error instanceof CoreError)) return undefined;
  const { value } = error;
  switch (error.operation) {
    case Operation.stateRunning:
      return "the machine still runs";
    case Operation.stateEnded:
      return `vCPU ${value} waits for the machine's end`;
    case Operation.stateSize:
      return `it is cut short or has bytes too many (it claims ${value})`;
    case Operation.stateKind:
      return `it is the state of another kind of thing (${value})`;
    case Operation.stateVersion:
      return `it has version ${value}, which this program does not know`;
    case Operation.stateContent:
      return `what it holds at byte ${value} makes no sense here`;
    case Operation.stateCpuid:
      return `the host's CPU lacks what CPUID leaf 0x${value.toString(16)} promised the guest`;
    case Operation.stateTsc:
      return `the host's CPU cannot count time at the saved rate of ${value} kHz`;
    case Operation.kvmRestoreMsr:
      return `the host's KVM refuses the saved value of MSR 0x${value.toString(16)}`;
    default:
      return undefined;
  }
}

/** Writes all guest memory into an empty file; the doorbell tells of the end. */
export function startMemorySave(core: Core, params: MemorySave): void {
  core.call("memory_save_start", encode(MemorySaveParamsLayout, params));
}

/** Of the last memory save. */
export function memorySaveProgress(core: Core): MemorySaveProgress {
  const out = new Uint8Array(MemorySaveProgressLayout.size);
  core.call("memory_save_progress", out);
  return decode(MemorySaveProgressLayout, out);
}

export function cancelMemorySave(core: Core): void {
  core.call("memory_save_cancel");
}

/** CRC-32C of each chunk of each piece of memory, once all is written: little-endian u32s. */
export function memorySaveChecksums(core: Core): Uint8Array {
  const bytes = new Uint8Array(4 * memorySaveProgress(core).chunkCount);
  const params = { bytes, size: bytes.length };
  core.call("memory_save_checksums", encode(BufferParamsLayout, params));
  return bytes;
}

/** The same of a part of a file that begins where a chunk does; at most `transferSizeMax` bytes. */
export function checksumsOfFile(core: Core, fd: number, offset: number, size: number): Uint8Array {
  const checksums = new Uint8Array(4 * Math.ceil(size / CONSTANTS.saveChunkSize));
  core.call("host_checksums", encode(ChecksumParamsLayout, { fd, offset, size, checksums }));
  return checksums;
}

/** Reads the data of a sparse file into memory that nobody has written yet. */
export function loadSparse(core: Core, params: StructValue<typeof LoadParamsLayout>): void {
  core.call("memory_load_data", encode(LoadParamsLayout, params));
}

function isLimit(error: unknown): boolean {
  return error instanceof CoreError && error.status === Status.limit;
}
