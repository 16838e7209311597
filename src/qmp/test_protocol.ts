// The module-test protocol: one line of words in, one line out (behaviour 8.1). inb … outl for
// ports are ours: upstream reaches them only through memory.

import { messageOf } from "../errors.ts";

/** The machine as a module test drives it: addresses and sizes in bytes, times in nanoseconds. */
export interface TestBus {
  /** size is 1, 2, 4 or 8. */
  read(address: bigint, size: number): bigint;
  write(address: bigint, size: number, value: bigint): void;
  readBytes(address: bigint, size: number): Uint8Array;
  writeBytes(address: bigint, bytes: Uint8Array): void;
  /** size is 1, 2 or 4. */
  readPort(port: number, size: number): bigint;
  writePort(port: number, size: number, value: bigint): void;
  /** Advances the virtual clock, without a step to the next timer; returns the new time. */
  clockStep(stepNs: bigint | undefined): bigint;
  /** Never goes back; returns the new time. */
  clockSet(timeNs: bigint): bigint;
  /** True once for each distinct recorded message. */
  queryMsix(address: bigint, data: bigint): boolean;
  queryIntx(irq: number): boolean;
  eoiIntx(irq: number): boolean;
}

/** The most bytes that one read, write or memset moves. */
export const maxTransferBytes = 1024 * 1024;

const widths: Readonly<Record<string, number>> = { b: 1, w: 2, l: 4, q: 8 };

class BadLine extends Error {}

function number(word: string | undefined, radix: 10 | 16): bigint {
  const digits = (word ?? "").replace(/^0x/i, "");
  const isHex = radix === 16 || digits !== word;
  const shape = isHex ? /^[0-9a-f]{1,16}$/i : /^\d{1,19}$/;
  if (!shape.test(digits)) {
    const kind = radix === 16 ? "a hexadecimal number" : "a number";
    throw new BadLine(`expected ${kind}, but got '${word ?? ""}'`);
  }
  return BigInt(isHex ? `0x${digits}` : digits);
}

function byteCount(word: string | undefined): number {
  const size = number(word, 16);
  if (size < 1n || size > maxTransferBytes) {
    throw new BadLine(`expected a size from 1 to 0x${maxTransferBytes.toString(16)} bytes`);
  }
  return Number(size);
}

function byteString(word: string | undefined, size: number): Uint8Array {
  const digits = (word ?? "").replace(/^0x/i, "");
  if (!/^[0-9a-f]*$/i.test(digits) || digits.length !== size * 2) {
    throw new BadLine(`expected ${size} bytes as ${size * 2} hexadecimal digits`);
  }
  return Buffer.from(digits, "hex");
}

function hex(value: bigint): string {
  return `OK 0x${value.toString(16).padStart(16, "0")}`;
}

function truth(value: boolean): string {
  return value ? "OK TRUE" : "OK FALSE";
}

type Handler = (bus: TestBus, words: readonly string[]) => string;

function accessHandlers(): [string, Handler][] {
  return Object.entries(widths).flatMap(([letter, size]) => {
    const memory: [string, Handler][] = [
      [`read${letter}`, (bus, [address]) => hex(bus.read(number(address, 16), size))],
      [
        `write${letter}`,
        (bus, [address, value]) => {
          bus.write(number(address, 16), size, BigInt.asUintN(size * 8, number(value, 16)));
          return "OK";
        },
      ],
    ];
    if (size === 8) return memory;
    return [
      ...memory,
      [`in${letter}`, (bus, [port]) => hex(bus.readPort(portNumber(port), size))],
      [
        `out${letter}`,
        (bus, [port, value]) => {
          bus.writePort(portNumber(port), size, BigInt.asUintN(size * 8, number(value, 16)));
          return "OK";
        },
      ],
    ];
  });
}

function portNumber(word: string | undefined): number {
  const port = number(word, 16);
  if (port > 0xffffn) throw new BadLine(`expected a port from 0 to 0xffff, but got '${word}'`);
  return Number(port);
}

function memset(bus: TestBus, words: readonly string[]): string {
  const size = byteCount(words[1]);
  const pattern = number(words[2], 16);
  if (pattern > 0xffn) throw new BadLine(`expected a byte, but got '${words[2]}'`);
  bus.writeBytes(number(words[0], 16), new Uint8Array(size).fill(Number(pattern)));
  return "OK";
}

const handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ...accessHandlers(),
  [
    "read",
    (bus, [address, size]) => {
      const bytes = bus.readBytes(number(address, 16), byteCount(size));
      return `OK 0x${Buffer.from(bytes).toString("hex")}`;
    },
  ],
  [
    "write",
    (bus, [address, size, bytes]) => {
      bus.writeBytes(number(address, 16), byteString(bytes, byteCount(size)));
      return "OK";
    },
  ],
  ["memset", memset],
  [
    "clock_step",
    (bus, [step]) => `OK ${bus.clockStep(step === undefined ? undefined : number(step, 10))}`,
  ],
  ["clock_set", (bus, [time]) => `OK ${bus.clockSet(number(time, 10))}`],
  [
    "query_msix",
    (bus, [address, data]) => truth(bus.queryMsix(number(address, 10), number(data, 10))),
  ],
  ["query_intx", (bus, [irq]) => truth(bus.queryIntx(Number(number(irq, 10))))],
  ["eoi_intx", (bus, [irq]) => truth(bus.eoiIntx(Number(number(irq, 10))))],
]);

/** The reply to one line, without its line end; never throws. */
export function answerTestLine(bus: TestBus, line: string): string {
  const [name = "", ...words] = line.trim().split(/ +/);
  const handler = handlers.get(name);
  if (handler === undefined) return `Unsupported command: ${line.trim().slice(0, 80)}`;
  try {
    return handler(bus, words);
  } catch (error) {
    return `ERROR ${name}: ${messageOf(error)}`;
  }
}
