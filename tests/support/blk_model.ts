// virtio-blk for the conformance suite.

import { BLK_REQUEST, BlkDriver } from "./blk_driver.ts";
import { diskOn } from "./disk.ts";
import type { VirtioModel } from "./virtio_model.ts";

const DISK_SIZE = 1024 * 1024;
const READ_SIZE = 4096;

export const blkModel: VirtioModel = {
  name: "virtio-blk",
  deviceType: 2,
  queueCount: 2,
  queueSizeMax: 64,
  workQueue: 0,
  configSize: 36,
  describe: (machine, folder) =>
    diskOn(machine, folder.file(`disk-${crypto.randomUUID()}`), new Uint8Array(DISK_SIZE).fill(7), {
      queueCount: 2,
    }),
  work: ({ transport, ram }) => {
    const input = [ram.allocate(READ_SIZE)];
    return new BlkDriver(transport, ram).prepare({ type: BLK_REQUEST.read, input }).parts;
  },
};
