// The module-test protocol over a bus that is a Map.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestBus } from "../../src/qmp/test_protocol.ts";
import { answerTestLine, maxTransferBytes } from "../../src/qmp/test_protocol.ts";
import { serveTestBus, TestLines } from "../../src/qmp/test_server.ts";

class MapBus implements TestBus {
  readonly bytes = new Map<bigint, number>();
  readonly ports = new Map<number, bigint>();
  nowNs = 0n;

  read(address: bigint, size: number): bigint {
    return this.readBytes(address, size).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  }

  write(address: bigint, size: number, value: bigint): void {
    for (let index = 0n; index < size; index += 1n) {
      this.bytes.set(address + index, Number((value >> (index * 8n)) & 0xffn));
    }
  }

  readBytes(address: bigint, size: number): Uint8Array {
    if (address === 0xdeadn) throw new Error("no memory at 0xdead");
    return Uint8Array.from({ length: size }, (_, at) => this.bytes.get(address + BigInt(at)) ?? 0);
  }

  writeBytes(address: bigint, bytes: Uint8Array): void {
    for (const [index, byte] of bytes.entries()) this.bytes.set(address + BigInt(index), byte);
  }

  readPort(port: number): bigint {
    return this.ports.get(port) ?? 0xffn;
  }

  writePort(port: number, _size: number, value: bigint): void {
    this.ports.set(port, value);
  }

  clockStep(stepNs: bigint | undefined): bigint {
    this.nowNs += stepNs ?? 1000n;
    return this.nowNs;
  }

  clockSet(timeNs: bigint): bigint {
    this.nowNs = timeNs;
    return this.nowNs;
  }

  queryMsix(address: bigint, data: bigint): boolean {
    return address === 0xfee00000n && data === 34n;
  }

  queryIntx(irq: number): boolean {
    return irq === 5;
  }

  eoiIntx(irq: number): boolean {
    return irq === 5;
  }
}

const transcript = [
  ["writel 0x1000 0x12345678", "OK"],
  ["readl 0x1000", "OK 0x0000000012345678"],
  ["readw 1002", "OK 0x0000000000001234"],
  ["readb 0x1000", "OK 0x0000000000000078"],
  ["writeb 0x1000 0x1ff", "OK"],
  ["readq 0x1000", "OK 0x00000000123456ff"],
  ["writeq 0x2000 0xffffffffffffffff", "OK"],
  ["readq 0x2000", "OK 0xffffffffffffffff"],
  ["write 0x3000 0x4 0xdeadbeef", "OK"],
  ["read 0x3000 0x4", "OK 0xdeadbeef"],
  ["memset 0x3000 0x3 0xaa", "OK"],
  ["read 0x3000 0x4", "OK 0xaaaaaaef"],
  ["outb 0x3f8 0x41", "OK"],
  ["inb 0x3f8", "OK 0x0000000000000041"],
  ["outw 0x10 0x12345", "OK"],
  ["inl 0x10", "OK 0x0000000000002345"],
  ["clock_step 500", "OK 500"],
  ["clock_step", "OK 1500"],
  ["clock_set 99", "OK 99"],
  ["query_msix 4276092928 34", "OK TRUE"],
  ["query_msix 4276092928 35", "OK FALSE"],
  ["query_intx 5", "OK TRUE"],
  ["eoi_intx 6", "OK FALSE"],
  ["readz 0x1", "Unsupported command: readz 0x1"],
  ["readb", "ERROR readb: expected a hexadecimal number, but got ''"],
  ["readb xyz", "ERROR readb: expected a hexadecimal number, but got 'xyz'"],
  ["read 0xdead 0x1", "ERROR read: no memory at 0xdead"],
  ["read 0x0 0x100001", "ERROR read: expected a size from 1 to 0x100000 bytes"],
  ["write 0x0 0x2 0xaa", "ERROR write: expected 2 bytes as 4 hexadecimal digits"],
  ["memset 0x0 0x1 0x100", "ERROR memset: expected a byte, but got '0x100'"],
  ["inb 0x10000", "ERROR inb: expected a port from 0 to 0xffff, but got '0x10000'"],
  ["inq 0x10", "Unsupported command: inq 0x10"],
  ["clock_set soon", "ERROR clock_set: expected a number, but got 'soon'"],
] as const;

test("each request has its reply", () => {
  const bus = new MapBus();
  const replies = transcript.map(([line]) => [line, answerTestLine(bus, line)]);
  expect(replies as unknown).toEqual(transcript);
});

test("requests without a line feed count, and a cut write waits for its bytes", () => {
  const lines = new TestLines();
  expect(lines.push("readl 0x10")).toEqual(["readl 0x10"]);
  expect(lines.push("readl 0x10\r\nreadb 0x1\n")).toEqual(["readl 0x10\r", "readb 0x1"]);
  expect(lines.push("write 0x0 0x4 0xdead")).toEqual([]);
  expect(lines.push("beef")).toEqual(["write 0x0 0x4 0xdeadbeef"]);
});

test("a line without end is refused", () => {
  const lines = new TestLines();
  expect(() => lines.push("x".repeat(2 * maxTransferBytes + 200))).toThrow(
    "A line of the module test is longer than",
  );
});

test("the machine connects to the harness, answers with CRLF and sees it leave", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mod-test-"));
  const unix = join(folder, "sock");
  const { promise: reply, resolve } = Promise.withResolvers<string>();
  const listener = Bun.listen({
    unix,
    socket: {
      open: (socket) => void socket.write("readl 0x1000"),
      data(socket, chunk) {
        resolve(chunk.toString());
        socket.end();
      },
    },
  });
  const connection = await serveTestBus(unix, new MapBus());
  expect(await reply).toBe("OK 0x0000000000000000\r\n");
  await connection.closed;
  listener.stop(true);
  rmSync(folder, { recursive: true });
});

test("a harness that is not there is one sentence", async () => {
  const path = "/nonexistent/harness.sock";
  await expect(serveTestBus(path, new MapBus())).rejects.toThrow(
    `Cannot connect to -mod-test socket '${path}'`,
  );
});
