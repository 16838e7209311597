// Guest memory of tests, written into a file.

import { closeSync, openSync } from "node:fs";
import { CONSTANTS, MemorySaveState } from "../../src/core/abi.gen.ts";
import type { Core } from "../../src/core/core.ts";
import {
  type MemorySaveProgress,
  memorySaveProgress,
  startMemorySave,
} from "../../src/core/snapshot.ts";
import { until } from "./until.ts";

/** Writes all memory to a new file, or over a device, with as many threads as there may be. */
export async function saveMemory(
  core: Core,
  path: string,
  offset = 0,
): Promise<MemorySaveProgress> {
  const fd = openSync(path, "w");
  const pagemapFd = openSync("/proc/self/pagemap", "r");
  const threadCount = CONSTANTS.saveThreadCountMax;
  startMemorySave(core, { fd, offset, threadCount, pagemapFd });
  const progress = await memorySaved(core);
  closeSync(fd);
  closeSync(pagemapFd);
  return progress;
}

/** Waits for the end of a memory save. */
export async function memorySaved(core: Core): Promise<MemorySaveProgress> {
  const isOver = () => memorySaveProgress(core).state !== MemorySaveState.running;
  await until("the end of the memory save", isOver);
  return memorySaveProgress(core);
}
