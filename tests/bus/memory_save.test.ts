// Guest memory into a file and back: what it costs, what it holds, and how it ends.

import { describe, expect, test } from "bun:test";
import "../support/core_library.ts";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { CONSTANTS, MemorySaveState, News } from "../../src/core/abi.gen.ts";
import { Core, type NewMemory } from "../../src/core/core.ts";
import { createMemoryFile } from "../../src/core/host_calls.ts";
import {
  cancelMemorySave,
  checksumsOfFile,
  memorySaveChecksums,
  memorySaveProgress,
  startMemorySave,
} from "../../src/core/snapshot.ts";
import { memorySaved, saveMemory } from "../support/memory_save.ts";
import { Random } from "../support/random.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A core with these pieces of memory, and a file for what becomes of them. */
class Memory implements Disposable {
  readonly core = Core.create();
  readonly folder = new TemporaryFolder();
  readonly path = this.folder.file("memory");

  constructor(...pieces: readonly NewMemory[]) {
    for (const piece of pieces) this.core.addMemory(piece);
  }

  /** Bytes that the file takes on the disk. */
  get diskSize(): number {
    return statSync(this.path).blocks * 512;
  }

  /** A new core that shows the file at `offset`, copy on write. */
  reopened(size: number, offset: number): Memory {
    const fd = openSync(this.path, "r");
    const memory = new Memory({ guestAddress: 0, size, fd, offset });
    closeSync(fd);
    return memory;
  }

  [Symbol.dispose](): void {
    this.core.destroy();
    this.folder[Symbol.dispose]();
  }
}

describe("memory that is saved", () => {
  test("comes back as it was, wherever it lay, and the file does not change with it", async () => {
    const random = new Random(1);
    using memory = new Memory({ guestAddress: 0, size: 3 * MIB + 4096 });
    const places = [0, 4096 * 7 + 3, MIB - 1, 2 * MIB + 12_288, 3 * MIB + 4095];
    for (const place of places) memory.core.writeMemory(place, random.bytes(1));
    const before = memory.core.readMemory(0, 3 * MIB + 4096);
    const offset = 8192;
    const progress = await saveMemory(memory.core, memory.path, offset);
    expect(progress.state).toBe(MemorySaveState.done);
    expect(progress.written).toBe(progress.total);
    using restored = memory.reopened(3 * MIB + 4096, offset);
    expect(restored.core.readMemory(0, 3 * MIB + 4096)).toEqual(before);
    restored.core.writeMemory(0, new Uint8Array(3 * MIB).fill(9));
    expect(readFileSync(memory.path).subarray(offset)).toEqual(Buffer.from(before));
  });

  test("lies piece after piece, each at a multiple of 2 MiB", async () => {
    using memory = new Memory(
      { guestAddress: 0, size: 640 * 1024 },
      { guestAddress: MIB, size: 3 * MIB },
      { guestAddress: 4 * GIB, size: MIB },
    );
    const marks = [0, MIB, 4 * GIB];
    marks.forEach((address, index) => {
      memory.core.writeMemory(address, Uint8Array.of(index + 1));
    });
    const { total, chunkCount } = await saveMemory(memory.core, memory.path);
    expect(total).toBe(7 * MIB);
    expect(chunkCount).toBe(1 + 3 + 1);
    const file = readFileSync(memory.path);
    expect(file.length).toBe(total);
    expect([0, 2, 6].map((start) => file[start * MIB])).toEqual([1, 2, 3]);
  });

  test("that is zero or was never touched costs neither disk nor memory", async () => {
    using memory = new Memory({ guestAddress: 0, size: 256 * MIB });
    memory.core.writeMemory(5 * MIB, new Uint8Array(40 * MIB));
    memory.core.writeMemory(77 * MIB + 5, Uint8Array.of(1));
    const resident = process.memoryUsage.rss();
    const { written, dataBytes } = await saveMemory(memory.core, memory.path);
    expect(process.memoryUsage.rss() - resident).toBeLessThan(32 * MIB);
    expect(written).toBe(256 * MIB);
    expect(dataBytes).toBe(2 * 4096);
    expect(statSync(memory.path).size).toBe(256 * MIB);
    expect(memory.diskSize).toBeLessThan(128 * 1024);
  });

  test("may be larger than 4 GiB, and shows its end again", async () => {
    const size = 5 * GIB;
    using memory = new Memory({ guestAddress: 0, size });
    memory.core.writeMemory(size - 3, Uint8Array.of(1, 2, 3));
    const { written } = await saveMemory(memory.core, memory.path);
    expect(written).toBe(size);
    using restored = memory.reopened(size, 0);
    expect(restored.core.readMemory(size - 4, 4)).toEqual(Uint8Array.of(0, 1, 2, 3));
  });

  test("that others share does not grow by it", async () => {
    using memory = new Memory();
    const fd = createMemoryFile(memory.core, 64 * MIB);
    memory.core.addMemory({ guestAddress: 0, size: 64 * MIB, fd, shared: 1 });
    memory.core.writeMemory(9 * MIB, Uint8Array.of(5));
    const { state } = await saveMemory(memory.core, memory.path);
    expect(state).toBe(MemorySaveState.done);
    expect(statSync(`/proc/self/fd/${fd}`).blocks * 512).toBe(4096);
    closeSync(fd);
    expect(readFileSync(memory.path)[9 * MIB]).toBe(5);
    expect(memory.diskSize).toBeLessThan(128 * 1024);
  });
});

describe("checksums", () => {
  test("tell which MiB of the file is not what was saved", async () => {
    using memory = new Memory({ guestAddress: 0, size: 5 * MIB + 4096 });
    memory.core.writeMemory(2 * MIB, new Uint8Array(3 * MIB + 4096).fill(0xa5));
    await saveMemory(memory.core, memory.path);
    const saved = new Uint32Array(memorySaveChecksums(memory.core).buffer);
    const sums = (fd: number) =>
      new Uint32Array(checksumsOfFile(memory.core, fd, 0, 5 * MIB + 4096).buffer);
    const fd = openSync(memory.path, "r");
    expect(sums(fd)).toEqual(saved);
    closeSync(fd);
    expect(saved[0]).toBe(saved[1]);
    expect(new Set(saved).size).toBe(3);
    await Bun.write(memory.path, readFileSync(memory.path).fill(1, 3 * MIB + 7, 3 * MIB + 8));
    const damaged = openSync(memory.path, "r");
    const isWrong = (index: number, sum: number | undefined) => sum !== saved[index];
    const found = sums(damaged);
    expect([0, 1, 2, 3, 4, 5].filter((index) => isWrong(index, found[index]))).toEqual([3]);
    closeSync(damaged);
  });

  test("of a file that ends too early are an error", async () => {
    using memory = new Memory();
    await Bun.write(memory.path, new Uint8Array(4096));
    const fd = openSync(memory.path, "r");
    expect(() => checksumsOfFile(memory.core, fd, 0, MIB)).toThrow("fileRead failed: EIO");
    expect(() => checksumsOfFile(memory.core, fd, 0, GIB)).toThrow("host_checksums failed: limit");
    closeSync(fd);
  });
});

describe("a memory save", () => {
  test("on a full disk fails with the cause", async () => {
    using memory = new Memory({ guestAddress: 0, size: 64 * MIB });
    const { state, errno } = await saveMemory(memory.core, "/dev/full");
    expect(state).toBe(MemorySaveState.failed);
    expect(errno).toBe(constants.errno.ENOSPC);
    expect(() => memorySaveChecksums(memory.core)).toThrow("memory_save_checksums failed: empty");
  });

  test("can be cancelled, rings at its end, and another one may follow", async () => {
    using memory = new Memory({ guestAddress: 0, size: 8 * GIB });
    const { core } = memory;
    expect(() => memorySaveProgress(core)).toThrow("memory_save_progress failed: empty");
    const fd = openSync(memory.path, "w");
    const options = { fd, offset: 0, threadCount: 2, pagemapFd: -1 };
    startMemorySave(core, options);
    expect(() => startMemorySave(core, options)).toThrow("memory_save_start failed: invalid");
    cancelMemorySave(core);
    const { state, written, total } = await memorySaved(core);
    expect(state).toBe(MemorySaveState.cancelled);
    expect(written).toBeLessThan(total);
    expect(core.takeNews().bits).toBe(1 << News.migration);
    closeSync(fd);
    expect((await saveMemory(core, memory.path)).state).toBe(MemorySaveState.done);
  });

  test("ends with its core", () => {
    using memory = new Memory({ guestAddress: 0, size: 8 * GIB });
    const fd = openSync(memory.path, "w");
    startMemorySave(memory.core, { fd, offset: 0, threadCount: 99, pagemapFd: -1 });
    memory.core.destroy();
    closeSync(fd);
  });

  test("needs memory, and a place at a page of the file", () => {
    using memory = new Memory();
    const start = (offset: number) =>
      startMemorySave(memory.core, { fd: 1, offset, threadCount: 1, pagemapFd: -1 });
    expect(() => start(0)).toThrow("memory_save_start failed: invalid");
    memory.core.addMemory({ guestAddress: 0, size: CONSTANTS.saveChunkSize });
    expect(() => start(512)).toThrow("memory_save_start failed: invalid");
  });
});
