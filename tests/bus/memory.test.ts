// Guest memory from files, memfds and nodes of the host (behaviour 0.2 and 1.5): what is shared,
// what is touched, where pages come from, and what is left behind.

import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { messageOf } from "../../src/errors.ts";
import { planPieces } from "../../src/machine/memory.ts";
import { configOf } from "../options/run.ts";
import { mountHugePages } from "../support/huge_pages.ts";
import { type Mapping, MemoryMachine } from "../support/memory_machine.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const MIB = 1024 ** 2;
const SIZE = 128 * MIB;
const MEMFD = "/memfd:stratovirt_anon_mem (deleted)";
const hello = Buffer.from("hello from the host");

/** A file of the size of the guest's memory that says hello at 1 MiB. */
function memoryFile(folder: TemporaryFolder): string {
  const path = folder.file("memory");
  const fd = openSync(path, "w");
  writeSync(fd, hello, 0, hello.length, MIB);
  closeSync(fd);
  truncateSync(path, SIZE);
  return path;
}

function bytesAt(path: string, offset: number, length: number): Buffer {
  return readFileSync(path).subarray(offset, offset + length);
}

const isAt = (path: string) => (mapping: Mapping) => mapping.path === path;
const hasSize = (size: number) => (mapping: Mapping) => mapping.size === size;

function refusalOf(line: string): string {
  try {
    new MemoryMachine(line)[Symbol.dispose]();
    return "accepted";
  } catch (error) {
    return messageOf(error);
  }
}

describe("a memory file", () => {
  test("is seen by the guest, which keeps its writes to itself", () => {
    using folder = new TemporaryFolder();
    const path = memoryFile(folder);
    using machine = new MemoryMachine(`-m 128M -mem-path ${path}`);
    expect(machine.read(MIB, hello.length)).toEqual(hello);
    machine.write(MIB, Buffer.from("HELLO"));
    expect(machine.read(MIB, 5).toString()).toBe("HELLO");
    expect(bytesAt(path, MIB, hello.length)).toEqual(hello);
    expect(machine.mapping(isAt(path)).isShared).toBe(false);
  });

  test("takes the guest's writes with mem-share=on", () => {
    using folder = new TemporaryFolder();
    const path = memoryFile(folder);
    using machine = new MemoryMachine(`-m 128M -mem-path ${path}`, "mem-share=on");
    expect(machine.read(MIB, hello.length)).toEqual(hello);
    machine.write(SIZE - 5, Buffer.from("guest"));
    expect(bytesAt(path, SIZE - 5, 5).toString()).toBe("guest");
    expect(machine.mapping(isAt(path)).isShared).toBe(true);
  });

  test("is made when it is not there, for its owner alone", () => {
    using folder = new TemporaryFolder();
    const path = folder.file("new");
    using machine = new MemoryMachine(`-m 128M -mem-path ${path}`, "mem-share=on");
    machine.write(0, hello);
    expect(statSync(path).size).toBe(SIZE);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(bytesAt(path, 0, hello.length)).toEqual(hello);
  });

  test("gets its size when it is empty, and keeps its size when it is larger", () => {
    using folder = new TemporaryFolder();
    const empty = folder.file("empty");
    const large = folder.file("large");
    writeFileSync(empty, "");
    writeFileSync(large, "");
    truncateSync(large, SIZE + 1);
    using _first = new MemoryMachine(`-m 128M -mem-path ${empty}`);
    using _second = new MemoryMachine(`-m 128M -mem-path ${large}`);
    expect(statSync(empty).size).toBe(SIZE);
    expect(statSync(large).size).toBe(SIZE + 1);
  });

  test("in a folder has no name", () => {
    using folder = new TemporaryFolder();
    using machine = new MemoryMachine(`-m 128M -mem-path ${folder.path}`);
    expect(readdirSync(folder.path)).toEqual([]);
    const isInFolder = ({ path }: Mapping) =>
      path.startsWith(`${folder.path}/stratovirt_backmem_`) && path.endsWith(" (deleted)");
    expect(machine.mapping(isInFolder).size).toBe(SIZE);
  });

  test("that is too small is refused and left as it is", () => {
    using folder = new TemporaryFolder();
    const path = folder.file("small");
    writeFileSync(path, "x");
    expect(refusalOf(`-m 128M -mem-path ${path}`)).toBe(
      `The file '${path}' of the guest's memory has 1 bytes, but 128M are needed; ` +
        "make it larger, or name a new file.",
    );
    expect(readFileSync(path).toString()).toBe("x");
  });

  test("that is no file, or has no folder, is refused by name", () => {
    const what = "of the guest's memory";
    expect(refusalOf("-m 128M -mem-path /dev/null")).toBe(
      `The file ${what} '/dev/null' (mem-path) is a character device; ` +
        "a file or a folder is needed.",
    );
    expect(refusalOf("-m 128M -mem-path /nowhere/memory")).toBe(
      `The file ${what} '/nowhere/memory' (mem-path) does not exist; check the path.`,
    );
    expect(refusalOf("-m 128M -mem-path /dev/null/memory")).toBe(
      `The file ${what} '/dev/null/memory' (mem-path) lies below a file, not a folder; ` +
        "check the path.",
    );
  });
});

describe("anonymous memory", () => {
  test("is shared as a file that nobody can resize with mem-share=on", () => {
    using machine = new MemoryMachine("-m 128M", "mem-share=on");
    expect(machine.mapping(isAt(MEMFD))).toMatchObject({ size: SIZE, isShared: true });
    machine.write(4096, hello);
    const fd = readdirSync("/proc/self/fd").find((name) => linkOf(name) === MEMFD);
    const path = `/proc/self/fd/${fd}`;
    expect(bytesAt(path, 4096, hello.length)).toEqual(hello);
    expect(() => truncateSync(path, 0)).toThrow("EPERM");
  });

  test("comes with its first touch, or all before the start with -mem-prealloc", () => {
    using lazy = new MemoryMachine("-m 130M");
    using eager = new MemoryMachine("-m 132M -smp 4 -mem-prealloc");
    expect(lazy.mapping(hasSize(130 * MIB)).residentBytes).toBe(0);
    expect(eager.mapping(hasSize(132 * MIB)).residentBytes).toBe(132 * MIB);
  });

  test("is in core dumps unless dump-guest-core=off", () => {
    using inside = new MemoryMachine("-m 130M");
    using outside = new MemoryMachine("-m 132M", "dump-guest-core=off");
    expect(inside.mapping(hasSize(130 * MIB)).flags).not.toContain("dd");
    expect(outside.mapping(hasSize(132 * MIB)).flags).toContain("dd");
  });

  test("can be filled with huge pages, at equal places in guest and host", () => {
    using machine = new MemoryMachine("-m 2G");
    expect(machine.mapping(hasSize(2048 * MIB)).address % 2 ** 30).toBe(0);
  });
});

function linkOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    // The descriptor of the listing itself.
    return "";
  }
}

describe("nodes", () => {
  const node = (index: number, backend: string) =>
    `-object memory-backend-${backend},id=m${index} -numa node,memdev=m${index}`;

  test("follow each other without a seam, each from its own back end", () => {
    using folder = new TemporaryFolder();
    const path = folder.file("node");
    const first = node(0, "ram,size=66M,share=off,dump-guest-core=off,prealloc=on");
    const second = node(1, `file,size=64M,mem-path=${path}`);
    const third = node(2, "memfd,size=126M");
    using machine = new MemoryMachine(`-m 256M ${first} ${second} ${third}`);
    machine.write(66 * MIB - 5, hello);
    machine.write(130 * MIB - 5, hello);
    expect(machine.read(66 * MIB - 5, hello.length)).toEqual(hello);
    expect(machine.read(130 * MIB - 5, hello.length)).toEqual(hello);
    expect(bytesAt(path, 0, hello.length - 5)).toEqual(hello.subarray(5));
    expect(bytesAt(path, 64 * MIB - 5, 5)).toEqual(hello.subarray(0, 5));
    const plain = machine.mapping(hasSize(66 * MIB));
    expect(plain.flags).toContain("dd");
    expect(plain.residentBytes).toBe(66 * MIB);
    expect(machine.mapping(isAt(path)).address).toBe(plain.address + 66 * MIB);
    expect(machine.mapping(isAt(MEMFD)).address).toBe(plain.address + 130 * MIB);
    expect(machine.mapping(isAt(MEMFD)).flags).not.toContain("dd");
  });

  test("take their pages from the host's nodes by their policies", () => {
    const sizes = [66, 68, 70, 72];
    const policies = ["bind", "interleave", "preferred", "default"];
    const nodes = policies.map((policy, index) =>
      node(index, `ram,size=${sizes[index]}M,policy=${policy},host-nodes=0`),
    );
    using machine = new MemoryMachine(`-m 276M ${nodes.join(" ")}`);
    const seen = sizes.map((size) => machine.mapping(hasSize(size * MIB)).policy);
    expect(seen).toEqual(["bind:0", "interleave:0", "prefer:0", "default"]);
  });

  test("are spread over both sides of the gap below 4 GiB", () => {
    const line = `-m 5G ${node(0, "ram,size=2G")} ${node(1, "ram,size=3G")} -kernel k`;
    const ranges = [
      { address: 0, size: 3 },
      { address: 4, size: 2 },
    ].map(({ address, size }) => ({ address: address * 2 ** 30, size: size * 2 ** 30 }));
    const pieces = planPieces(configOf(line).memory.zones, ranges).map((piece) => [
      piece.zone.what.slice(-4),
      ...[piece.address, piece.offset, piece.size, piece.rangeSize].map((size) => size / 2 ** 30),
    ]);
    expect(pieces).toEqual([
      ["'m0'", 0, 0, 2, 3],
      ["'m1'", 2, 0, 1, 3],
      ["'m1'", 4, 1, 2, 2],
    ]);
  });

  test("of a host that has no such node are refused by number", () => {
    const line = `-m 128M ${node(0, "ram,size=128M,policy=bind,host-nodes=0:99")}`;
    expect(refusalOf(line)).toStartWith(
      "The host node 99 of the memory back end 'm0' does not exist; this host has ",
    );
  });
});

test("a machine that cannot have its memory leaves no file open", () => {
  using folder = new TemporaryFolder();
  mkdirSync(folder.file("sub"));
  const before = readdirSync("/proc/self/fd").length;
  const file = `-object memory-backend-file,id=f,size=64M,mem-path=${folder.file("sub")}`;
  const bad = "-object memory-backend-ram,id=b,size=64M,host-nodes=99";
  const line = `-m 128M ${file} ${bad} -numa node,memdev=f -numa node,memdev=b`;
  expect(refusalOf(line)).toContain("The host node 99");
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

const probe = new TemporaryFolder();
const hugeKinds = await Promise.all(
  [
    { page: "2M", sizeKib: 2048, count: 64, memory: "128M", odd: "129M" },
    { page: "1G", sizeKib: 1024 ** 2, count: 1, memory: "1G", odd: "1025M" },
  ].map(async (kind) => {
    mkdirSync(probe.file(kind.page));
    return { ...kind, pages: await mountHugePages(probe.file(kind.page), kind) };
  }),
);

afterAll(async () => {
  for (const { pages } of hugeKinds) await pages[Symbol.asyncDispose]();
  probe[Symbol.dispose]();
});

describe.each(hugeKinds)("huge pages of $page", ({ page, sizeKib, memory, odd, pages }) => {
  const { folder, skipped } = pages;
  const testHere = test.skipIf(skipped !== undefined);

  testHere("back the guest's memory, which is aligned to them", () => {
    using machine = new MemoryMachine(`-m ${memory} -mem-path ${folder} -mem-prealloc`);
    machine.write(MIB, hello);
    expect(machine.read(MIB, hello.length)).toEqual(hello);
    const mapping = machine.mapping(({ path }) => path.startsWith(folder));
    expect(mapping.flags).toContain("ht");
    expect(mapping.address % (sizeKib * 1024)).toBe(0);
  });

  testHere("must divide the memory", () => {
    expect(refusalOf(`-m ${odd} -mem-path ${folder}`)).toBe(
      `The size of the guest's memory, ${odd}, is no multiple of the pages of ${page} that ` +
        `'${folder}' has.`,
    );
  });

  testHere("must begin a node at a multiple of them", () => {
    const small = "-object memory-backend-ram,id=a,size=1M -numa node,memdev=a";
    const huge = `-object memory-backend-file,id=b,size=${memory},mem-path=${folder}`;
    const line = `-m ${odd} ${small} ${huge} -numa node,memdev=b`;
    expect(refusalOf(line)).toBe(
      `The pages of the memory back end 'b' have ${page}, but its ${memory} begin at 1M of the ` +
        `guest's memory; nodes must begin at multiples of ${page}.`,
    );
  });

  testHere("that the host does not have are refused before the guest runs", () => {
    expect(refusalOf(`-m 300G -mem-path ${folder}`)).toBe(
      "The host cannot map 3G for the guest's memory (ENOMEM): it has too few free huge pages " +
        `of ${page} (vm.nr_hugepages).`,
    );
  });
});
