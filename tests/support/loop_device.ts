// A block device of tests: a file behind a loop device, where the host has one to give.

import { truncateSync, writeFileSync } from "node:fs";
import { tryCommand } from "../../scripts/lib/command.ts";

export interface LoopDevice extends AsyncDisposable {
  readonly path: string;
}

/** Makes a loop device with logical blocks of `blockSize` on a new file. */
export async function openLoopDevice(
  file: string,
  size: { readonly bytes: number; readonly blockSize: number },
): Promise<LoopDevice | string> {
  writeFileSync(file, "");
  truncateSync(file, size.bytes);
  const blocks = ["--sector-size", String(size.blockSize)];
  const made = await tryCommand(["losetup", "-f", "--show", ...blocks, file]);
  if (made.code !== 0) return made.stderr.trim();
  const path = new TextDecoder().decode(made.stdout).trim();
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await tryCommand(["losetup", "-d", path]);
    },
  };
}

/** Why there are no loop devices, said once; undefined when there are. */
export async function whyNoLoopDevices(file: string): Promise<string | undefined> {
  const device = await openLoopDevice(file, { bytes: 2 ** 20, blockSize: 512 });
  if (typeof device !== "string") {
    await device[Symbol.asyncDispose]();
    return undefined;
  }
  console.log(`skipped: no loop device can be made here: ${device}`);
  return device;
}
