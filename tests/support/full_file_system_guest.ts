// Program of full_file_system.ts: writes a disk that is larger than the file system in argv[2],
// reads back what was acknowledged, and prints a report for each engine.

import { closeSync, constants, ftruncateSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EngineKind } from "../../src/core/abi.gen.ts";
import { BLK_FEATURE, BLK_REQUEST, BLK_STATUS, BlkDriver, SECTOR_SIZE } from "./blk_driver.ts";
import { BusMachine } from "./bus_machine.ts";
import { describeDisk } from "./disk.ts";
import type { FullDiskReport } from "./full_file_system.ts";
import { MmioTransport } from "./mmio_transport.ts";

const DISK_SIZE = 2 ** 22;
const CHUNK_SIZE = 2 ** 16;

async function fill(folder: string, engine: EngineKind): Promise<FullDiskReport> {
  const path = join(folder, "disk.img");
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT);
  ftruncateSync(fd, DISK_SIZE);
  using machine = new BusMachine();
  machine.onClose(() => closeSync(fd));
  machine.onClose(() => rmSync(path));
  const transport = new MmioTransport(machine, describeDisk(fd, DISK_SIZE, { engine }));
  const driver = new BlkDriver(transport, machine.ram);
  driver.start({ features: BLK_FEATURE.flush });
  const acknowledged: number[] = [];
  let refused = 0;
  for (let chunk = 0; chunk < DISK_SIZE / CHUNK_SIZE; chunk += 1) {
    const bytes = new Uint8Array(CHUNK_SIZE).fill(chunk + 1);
    const status = await driver.write((chunk * CHUNK_SIZE) / SECTOR_SIZE, bytes);
    if (status === BLK_STATUS.ok) acknowledged.push(chunk);
    if (status === BLK_STATUS.ioError) refused += 1;
  }
  const flushStatus = await driver.request({ type: BLK_REQUEST.flush });
  let lost = 0;
  for (const chunk of acknowledged) {
    const bytes = await driver.read((chunk * CHUNK_SIZE) / SECTOR_SIZE, CHUNK_SIZE);
    if (!bytes.every((byte) => byte === chunk + 1)) lost += 1;
  }
  return { acknowledged: acknowledged.length, refused, flushStatus, lost };
}

const reports: [string, FullDiskReport][] = [];
for (const [name, engine] of Object.entries(EngineKind)) {
  reports.push([name, await fill(process.argv[2] ?? "", engine)]);
}
console.log(JSON.stringify(reports));
