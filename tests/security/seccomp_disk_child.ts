// A disk under the filters: confines itself and then uses virtio-blk in every way it knows. The
// argument is the engine's number. Started by the tests, because a filter stays for good.

import { constants } from "node:fs";
import { CONSTANTS, type EngineKind } from "../../src/core/abi.gen.ts";
import { confineProcess } from "../../src/host/seccomp.ts";
import { BlkBench } from "../support/blk_bench.ts";
import { BLK_FEATURE, BLK_REQUEST } from "../support/blk_driver.ts";

const alignment = 4096;
const bench = new BlkBench({
  content: new Uint8Array(256 * 1024),
  engine: Number(process.argv[2]) as EngineKind,
  openFlags: constants.O_RDWR | constants.O_DIRECT,
  requestAlignment: alignment,
  bufferAlignment: alignment,
  iopsLimit: 200,
  flags: CONSTANTS.blkDiscard | CONSTANTS.blkWriteZeroes,
});
confineProcess(bench.machine.core, 2);

const { driver } = bench;
driver.start({ features: BLK_FEATURE.flush });
const statuses = [
  await driver.write(8, new Uint8Array(alignment).fill(7)),
  await driver.write(3, new Uint8Array(512).fill(9)),
  await driver.flush(),
  await bench.changeRange(BLK_REQUEST.writeZeroes, 64, 16, 0),
  await bench.changeRange(BLK_REQUEST.discard, 128, 64, 0),
];
const bytes = await driver.read(3, 512);
for (let count = 0; count < 250; count += 1) await driver.read(8, alignment);
bench.machine.core.destroy();
console.log(`statuses ${statuses.join(" ")}, byte ${bytes[0]}`);
process.exit(0);
