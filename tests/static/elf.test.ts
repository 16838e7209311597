// The form of the static executables, read from their ELF headers.

import { beforeAll, describe, expect, test } from "bun:test";
import { ARCHITECTURE_NAMES, ARCHITECTURES } from "../../scripts/static/architecture.ts";
import { type ElfFile, ET_EXEC, SegmentFlag, SegmentType } from "../../scripts/static/elf.ts";
import { readElf } from "../../scripts/static/runtime_package.ts";
import { BUILD_TIMEOUT_MS, buildProbe } from "./probe.ts";

describe.each([...ARCHITECTURE_NAMES])("the executable for %s", (name) => {
  let program: ElfFile;
  beforeAll(() => {
    program = readElf(buildProbe(name));
  }, BUILD_TIMEOUT_MS);

  test("is linked for a fixed address of its processor", () => {
    expect(program.type).toBe(ET_EXEC);
    expect(program.machine).toBe(ARCHITECTURES[name].machine);
  });

  test("asks for no interpreter and nothing to be linked at start", () => {
    const types = program.segments.map(({ type }) => type);
    expect(types).not.toContain(SegmentType.interpreter);
    expect(types).not.toContain(SegmentType.dynamic);
  });

  test("has no segment that is writable and executable", () => {
    const both = SegmentFlag.write | SegmentFlag.execute;
    expect(program.segments.filter(({ flags }) => (flags & both) === both)).toEqual([]);
  });

  test("has no section headers, so that strip refuses it instead of dropping the core", () => {
    expect(program.sections).toEqual([]);
  });

  test("begins in its executable code", () => {
    const code = program.segments.find(
      ({ address, memorySize }) => address <= program.entry && program.entry < address + memorySize,
    );
    expect(code?.flags).toBe(SegmentFlag.read | SegmentFlag.execute);
  });

  test("puts little more than Bun does into the storage of every thread", () => {
    expect(program.segment(SegmentType.threadLocal).memorySize).toBeLessThan(0x5900);
  });
});
