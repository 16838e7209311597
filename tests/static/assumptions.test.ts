// A Bun that does not fit fails the build with a sentence that says what is different.

import { beforeAll, describe, expect, test } from "bun:test";
import { ARCHITECTURES } from "../../scripts/static/architecture.ts";
import { DynamicTag, ElfFile, SegmentType } from "../../scripts/static/elf.ts";
import { checkRuntime } from "../../scripts/static/imports.ts";
import { CACHE } from "../../scripts/static/paths.ts";
import { relink } from "../../scripts/static/relink.ts";
import { fetchRuntime, readElf } from "../../scripts/static/runtime_package.ts";
import { BUILD_TIMEOUT_MS, buildProbe } from "./probe.ts";

const { x86_64, aarch64 } = ARCHITECTURES;

describe("a runtime that does not fit", () => {
  let bun: ElfFile;
  let blob: ElfFile;
  beforeAll(() => {
    buildProbe("x86_64");
    bun = readElf(fetchRuntime(x86_64));
    blob = readElf(`${CACHE}/x86_64/probe/blob`);
  }, BUILD_TIMEOUT_MS);

  const changed = (file: ElfFile, change: (bytes: Buffer) => void): ElfFile => {
    const bytes = Buffer.from(file.bytes);
    change(bytes);
    return new ElfFile(bytes, "changed");
  };

  test("fits when unchanged", () => {
    expect(() => checkRuntime(bun, x86_64)).not.toThrow();
    expect(relink(bun, blob, x86_64).length).toBeGreaterThan(bun.bytes.length);
  });

  test("is refused when it is position independent", () => {
    const pie = changed(bun, (bytes) => bytes.writeUInt16LE(3, 16));
    expect(() => checkRuntime(pie, x86_64)).toThrow("position independent");
  });

  test("is refused when it is for another processor", () => {
    expect(() => checkRuntime(bun, aarch64)).toThrow("not aarch64");
  });

  test("is refused when it has a relocation that is not known", () => {
    const table = bun.offsetOf(bun.dynamic().get(DynamicTag.relocations) ?? 0);
    const odd = changed(bun, (bytes) => bytes.writeUInt32LE(37, table + 8));
    expect(() => checkRuntime(odd, x86_64)).toThrow("relocation type 37");
  });

  test("is refused when the core was linked for another set of imports", () => {
    const index = blob.sections.findIndex(({ name }) => name === ".runtime_imports");
    const at = blob.word(40) + index * 64 + 32;
    const fewer = changed(blob, (bytes) => bytes.writeBigUInt64LE(8n * 400n, at));
    expect(() => relink(bun, fewer, x86_64)).toThrow("linked for 400 imports");
  });

  test("is refused when an import has no address", () => {
    const { offset } = blob.section(".runtime_imports");
    const unbound = changed(blob, (bytes) => bytes.fill(0, offset, offset + 8 * 100));
    expect(() => relink(bun, unbound, x86_64)).toThrow("static libraries do not have");
  });

  test("is refused when the core adds much to every thread's storage", () => {
    const index = blob.segments.findIndex(({ type }) => type === SegmentType.threadLocal);
    const at = blob.word(32) + index * 56 + 40;
    const size = blob.segment(SegmentType.threadLocal).memorySize;
    const larger = changed(blob, (bytes) => bytes.writeBigUInt64LE(BigInt(size + 4096), at));
    expect(() => relink(bun, larger, x86_64)).toThrow("thread-local");
  });
});
