// A kernel that is a guest driver for virtio-blk in a page of machine code: it reads the first
// sector over and over and keeps score in its memory, where query-mem-gpa finds it. Its ring and
// its one request lie behind the code and are part of the kernel file.

import { REGISTER } from "./mmio_transport.ts";
import { forever, x86 } from "./x86.ts";

/** Where a flat kernel is loaded. */
const BASE = 0x100_0000;
/** The first virtio-mmio slot of a microvm. */
const DISK = 0xf010_0000;
const DESCRIPTORS = BASE + 0x1000;
const AVAILABLE = BASE + 0x1100;
const USED = BASE + 0x1200;
const HEADER = BASE + 0x1300;
const STATUS = BASE + 0x1310;
const DATA = BASE + 0x1400;
const KERNEL_SIZE = 0x1600;
const QUEUE_SIZE = 4;
const SECTOR_SIZE = 512;

/** Guest addresses of the score, 32 bits each. */
export const SCORE = {
  /** Requests done. */
  done: BASE + 0x1320,
  /** The longest time of one request, and the time so far, in 2^16 ticks of the TSC. */
  longest: BASE + 0x1324,
  now: BASE + 0x1328,
  /** Where the first eight bytes of the sector are. */
  data: DATA,
} as const;

const STATUS_STEPS = [1, 3, 11];
const DRIVER_OK = 15;

type Code = readonly number[];

function store(address: number, value: number): Code {
  return [...x86.movEdi(address), ...x86.movEax(value), ...x86.storeEax];
}

function writeRegister(register: number, value: number): Code {
  return store(DISK + register, value);
}

const driverStart: Code = [
  ...STATUS_STEPS.slice(0, 2).flatMap((status) => writeRegister(REGISTER.status, status)),
  ...writeRegister(REGISTER.driverFeaturesSelect, 1),
  ...writeRegister(REGISTER.driverFeatures, 1),
  ...STATUS_STEPS.slice(2).flatMap((status) => writeRegister(REGISTER.status, status)),
  ...writeRegister(REGISTER.queueSelect, 0),
  ...writeRegister(REGISTER.queueSize, QUEUE_SIZE),
  ...writeRegister(REGISTER.descriptors, DESCRIPTORS),
  ...writeRegister(REGISTER.available, AVAILABLE),
  ...writeRegister(REGISTER.used, USED),
  ...writeRegister(REGISTER.queueReady, 1),
  ...writeRegister(REGISTER.status, DRIVER_OK),
  ...x86.readTime,
  ...x86.keepTime,
];

const untilUsed: Code = [...x86.pause, ...x86.compareWordWithCx];

const oneRequest: Code = [
  ...x86.movEdi(AVAILABLE + 2),
  ...x86.incrementWord,
  ...x86.loadEax,
  ...x86.movEcxEax,
  ...writeRegister(REGISTER.queueNotify, 0),
  ...x86.movEdi(USED + 2),
  ...untilUsed,
  ...x86.jumpBackIfNotEqual(untilUsed.length),
  ...x86.readTime,
  ...x86.movEdi(SCORE.now),
  ...x86.storeEax,
  ...x86.subtractKeptTime,
  ...x86.movEdi(SCORE.longest),
  ...x86.storeEaxIfAbove,
  ...x86.movEdi(SCORE.done),
  ...x86.increment32,
];

/** The bytes of the kernel file. */
export function diskPayload(): Uint8Array {
  const kernel = new Uint8Array(KERNEL_SIZE);
  kernel.set([...driverStart, ...forever(oneRequest, "far")]);
  const view = new DataView(kernel.buffer);
  const chain = [
    { address: HEADER, length: 16, flags: 1 },
    { address: DATA, length: SECTOR_SIZE, flags: 3 },
    { address: STATUS, length: 1, flags: 2 },
  ];
  chain.forEach(({ address, length, flags }, index) => {
    const at = DESCRIPTORS - BASE + 16 * index;
    view.setBigUint64(at, BigInt(address), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, index + 1, true);
  });
  return kernel;
}
