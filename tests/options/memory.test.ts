// What -m, -mem-path, -mem-prealloc, memory back ends and -numa mean together.

import { expect, test } from "bun:test";
import { configOf } from "./run.ts";

const MiB = 1024 ** 2;
const file = "-object memory-backend-file,id=f,size=128M,mem-path=/f";
const ram = "-object memory-backend-ram,id=r,size=128M";
const nodes = "-numa node,cpus=0-1,memdev=f -numa node,cpus=2-3,memdev=r";

test.each([
  ["", { kind: "ram", share: false, prealloc: false, dump: true }],
  ["-mem-prealloc", { kind: "ram", prealloc: true }],
  ["-machine mem-share=on", { kind: "memfd", share: true }],
  ["-machine dump-guest-core=off", { kind: "ram", dump: false }],
  ["-mem-path /dir", { kind: "file", path: "/dir", share: false }],
  ['-mem-path "/dir"', { kind: "file", path: "/dir" }],
  ["-mem-path /dir -machine mem-share=on", { kind: "file", path: "/dir", share: true }],
])("'%s' gives one zone", (line, zone) => {
  const { memory, numa } = configOf(`-kernel k ${line}`);
  expect(memory.zones).toMatchObject([{ ...zone, sizeBytes: 256 * MiB }]);
  expect(numa).toBeUndefined();
});

test.each([
  ["ram", { kind: "ram", share: false, dump: true, prealloc: false, policy: "default" }],
  ["ram,share=on", { kind: "ram", share: true }],
  ["memfd", { kind: "memfd", share: true }],
  ["memfd,share=off", { kind: "memfd", share: false }],
  ["file,mem-path=/f", { kind: "file", share: true, path: "/f" }],
  ["ram,dump-guest-core=false", { dump: false }],
  ["ram,prealloc=on", { prealloc: true }],
  ["ram,mem-prealloc=true", { prealloc: true }],
  ["ram,policy=bind,host-nodes=0-1:3", { policy: "bind", hostNodes: [0, 1, 3] }],
  ["ram,policy=interleave,host-nodes=[0]", { policy: "interleave", hostNodes: [0] }],
])("a node's memory-backend-%s", (backend, zone) => {
  const line = `-kernel k -object memory-backend-${backend},id=m,size=256M -numa node,memdev=m`;
  expect(configOf(line).memory.zones).toMatchObject([{ ...zone, sizeBytes: 256 * MiB }]);
});

test("what a back end leaves out follows the machine", () => {
  const machine = "-machine mem-share=on,dump-guest-core=off -mem-prealloc -mem-path /ignored";
  const back = "-object memory-backend-ram,id=a,size=128M";
  const own = "-object memory-backend-ram,id=b,size=128M,share=off,prealloc=off";
  const line = `-kernel k ${machine} ${back} ${own} -numa node,memdev=a -numa node,memdev=b`;
  expect(configOf(line).memory.zones).toMatchObject([
    { kind: "ram", path: undefined, share: true, dump: false, prealloc: true },
    { kind: "ram", path: undefined, share: false, dump: false, prealloc: false },
  ]);
});

test("nodes have their processors and memory, the first also the processors left over", () => {
  const { memory, numa } = configOf(`-kernel k -smp 6 ${file} ${ram} ${nodes}`);
  expect(numa).toEqual({
    nodes: [
      { id: 0, cpus: [0, 1, 4, 5], memdev: "f" },
      { id: 1, cpus: [2, 3], memdev: "r" },
    ],
    distances: [
      [10, 20],
      [20, 10],
    ],
  });
  expect(memory.zones.map(({ kind }) => kind)).toEqual(["file", "ram"]);
});

test("nodes come in the order of their numbers, and the lowest free one is the default", () => {
  const line = `-kernel k -smp 1 ${file} ${ram}`;
  const given = "-numa node,nodeid=5,memdev=r -numa node -numa node,nodeid=0,memdev=f";
  const { memory, numa } = configOf(`${line} ${given}`);
  expect(numa?.nodes.map(({ id, memdev }) => [id, memdev])).toEqual([
    [0, "f"],
    [1, undefined],
    [5, "r"],
  ]);
  expect(memory.zones.map(({ kind }) => kind)).toEqual(["file", "ram"]);
});

test("distances are those given, in one direction each", () => {
  const dist = "-numa dist,src=0,dst=1,val=30 -numa dist,src=1,dst=1,val=10";
  const { numa } = configOf(`-kernel k -smp 4 ${dist} ${file} ${ram} ${nodes}`);
  expect(numa?.distances).toEqual([
    [10, 30],
    [20, 10],
  ]);
});

test("eight nodes are possible, and back ends without a user too", () => {
  const indexes = [0, 1, 2, 3, 4, 5, 6, 7];
  const backends = indexes.map((index) => `-object memory-backend-ram,id=m${index},size=32M`);
  const all = indexes.map((index) => `-numa node,memdev=m${index}`);
  const line = `-kernel k ${backends.join(" ")} ${ram} ${all.join(" ")}`;
  expect(configOf(line).memory.zones).toHaveLength(8);
});
