// Each rule finds what it forbids, and lets pass what it allows: samples in both languages.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Code } from "./code.ts";
import { banRules } from "./rules/bans.ts";
import { commentRules } from "./rules/comments.ts";
import { deadCodeRules } from "./rules/dead_code.ts";
import { layerRules } from "./rules/layers.ts";
import { shapeRules } from "./rules/shape.ts";
import { sourceFile } from "./source_tree.ts";
import { readTypeScript } from "./typescript_code.ts";
import { readZig } from "./zig_code.ts";

const folder = mkdtempSync(join(tmpdir(), "stratovirt-tidy-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Samples as files of a project of their own, read as the real ones are. */
async function readSamples(samples: Readonly<Record<string, string>>): Promise<Code[]> {
  const sources = Object.entries(samples).map(([path, text]) => sourceFile(path, text));
  const typeScript = sources.filter(({ language }) => language === "typescript");
  const zig = sources.filter(({ language }) => language === "zig");
  const options = { compilerOptions: { noLib: true }, include: ["src", "tests"] };
  await Bun.write(join(folder, "tsconfig.json"), JSON.stringify(options));
  for (const { path, text } of typeScript) await Bun.write(join(folder, path), text);
  return [...(await readTypeScript(folder, typeScript)), ...zig.map(readZig)];
}

const many = (count: number, line: string) => `${line}\n`.repeat(count);

const SAMPLES = {
  "src/long.ts": `// Too long.\n${many(600, ";")}`,
  "src/Camel.ts": "// A name of another style.\n",
  "src/silent.ts": "export const value = 1;\n",
  "src/talkative.ts": many(6, "// On and on."),
  "src/wide.ts": `// Wide.\nconst text = "${"x".repeat(100)}";\n`,
  "src/function.ts": `// Long.\nfunction long() {\n${many(60, "  ;")}}\n`,
  "src/flag.ts": "// A flag.\nfunction set(name: string, force: boolean) {}\n",
  "src/single.ts": "// Not a flag.\nfunction setRaw(raw: boolean) {}\n",
  "src/any.ts": "// Any.\nlet value: any;\n",
  "src/bang.ts": "// Sure.\nlet value = [1][0]!;\n",
  "src/default.ts": "// Default.\nexport default 1;\n",
  "src/default_function.ts": "// Default.\nexport default function run() {}\n",
  "src/require.ts": '// Old.\nconst fs = require("node:fs");\n',
  "src/enum.ts": "// Enum.\nenum Colour { red }\n",
  "src/print.ts": "// Prints.\nconsole.log(1);\n",
  "src/exit.ts": "// Ends.\nprocess.exit(1);\n",
  "src/banner.ts": "// Banner.\n// ------\n",
  "src/strings.ts": '// Not comments.\nconst text = "// ------ was renamed";\n',
  "src/history.ts": "// History.\n// This was renamed.\n",
  "src/later.ts": `// Later.\n// ${"TO"}${"DO"}: all of it.\n`,
  "src/quiet.ts": "// Quiet.\n// @ts-ignore\nlet value = 1;\n",
  "src/firmware/impure.ts": '// Impure.\nimport { readFileSync } from "node:fs";\n',
  "src/options/host.ts": "// Asks.\nconst id = process.pid;\nconst word = config.process;\n",
  "src/options/upward.ts": '// Upward.\nimport { Machine } from "../machine/machine.ts";\n',
  "src/machine/downward.ts": '// Downward.\nimport { parse } from "../options/parse.ts";\n',
  "src/machine/board.ts": '// Asks.\nif (config.machine.type === "microvm") run();\n',
  "src/qmp/ffi.ts": '// Crosses.\nimport { dlopen } from "bun:ffi";\n',
  "src/devices/virtio/net.ts": '// Net.\nimport { describeBlk } from "./blk.ts";\n',
  "src/dead.ts": "// Dead.\nexport const unused = 1;\nexport const used = 2;\n",
  "src/user.ts": '// Lives.\nimport { used } from "./dead.ts";\nexport type Face = number;\n',
  "src/dead_member.ts": "// Dead.\nclass Box {\n  open() {}\n}\nnew Box();\n",
  "tests/branch.test.ts": '// Branch.\ntest("it", () => {\n  if (now) run();\n});\n',
  "tests/sleep.test.ts": '// Sleep.\ntest("it", async () => {\n  await Bun.sleep(5);\n});\n',
  "zig/long.zig": `//! Long.\nfn long() void {\n${many(60, "    step();")}}\n`,
  "zig/generic.zig": `//! Long.\nfn Of(T: type) type {\n  return struct {\n${many(60, "")}};\n}\n`,
  "zig/flag.zig": "//! A flag.\nfn set(self: *Self, size: u32, force: bool) void {}\n",
  "zig/single.zig": "//! Not a flag.\nfn setReady(self: *Self, ready: bool) void {}\n",
  "zig/global.zig": "//! Global.\nvar count: u32 = 0;\n",
  "zig/local_global.zig":
    "//! Global.\nfn f() void {\n    const S = struct { var n: u32 = 0; };\n}\n",
  "zig/local.zig": "//! Local.\nfn f() void {\n    var n: u32 = 0;\n}\n",
  "zig/print.zig": '//! Prints.\nfn f() void {\n    std.debug.print("x", .{});\n}\n',
  "zig/erased.zig": "//! Erased.\nfn f(context: *anyopaque) void {}\n",
  "zig/dropped.zig":
    "//! Dropped.\nfn f() void {\n    g() catch {};\n    g() catch unreachable;\n}\n",
  "zig/reasoned.zig":
    "//! Dropped.\nfn f() void {\n    // It cannot fail: see g.\n    g() catch {};\n}\n",
  "zig/exported.zig": "//! Exports.\nexport fn f() void {}\n",
  "zig/kernel/upward.zig": '//! Upward.\nconst core = @import("../core.zig");\n',
  "zig/dead.zig": "//! Dead.\npub fn nobodyCalls() void {}\nfn alsoDead() void {}\n",
  "zig/tested.zig": '//! Tested.\ntest "it" {}\n',
  "zig/tests.zig": '//! Root.\ntest {\n    _ = @import("other.zig");\n}\n',
} as const;

type SampleName = keyof typeof SAMPLES;

const project = await readSamples(SAMPLES);
const rules = [
  ...shapeRules,
  ...commentRules,
  ...banRules,
  ...layerRules,
  ...(await deadCodeRules(project)),
];

/** What the rules whose name has `rule` say about one sample. */
function found(rule: string, path: SampleName): string[] {
  const chosen = rules.filter(({ name }) => ` ${name}`.includes(` ${rule}`));
  expect(chosen).toHaveLength(1);
  return chosen
    .flatMap(({ check }) => check(project))
    .filter((text) => text.startsWith(`${path}:`));
}

describe("found", () => {
  test.each([
    ["a file has at most", "src/long.ts"],
    ["snake_case", "src/Camel.ts"],
    ["first comment", "src/silent.ts"],
    ["first comment", "src/talkative.ts"],
    ["a line has at most", "src/wide.ts"],
    ["a function has at most", "src/function.ts"],
    ["a function has at most", "zig/long.zig"],
    ["flag", "src/flag.ts"],
    ["flag", "zig/flag.zig"],
    ["any:", "src/any.ts"],
    ["non-null", "src/bang.ts"],
    ["default export", "src/default.ts"],
    ["default export", "src/default_function.ts"],
    ["require(", "src/require.ts"],
    ["enum:", "src/enum.ts"],
    ["console.log", "src/print.ts"],
    ["process.exit", "src/exit.ts"],
    ["banners", "src/banner.ts"],
    ["history", "src/history.ts"],
    ["later work", "src/later.ts"],
    ["silenced", "src/quiet.ts"],
    ["pure", "src/firmware/impure.ts"],
    ["folders of src", "src/options/upward.ts"],
    ["board's name", "src/machine/board.ts"],
    ["crosses the boundary", "src/qmp/ffi.ts"],
    ["devices do not", "src/devices/virtio/net.ts"],
    ["a class offers", "src/dead_member.ts"],
    ["branch in a test", "tests/branch.test.ts"],
    ["sleep", "tests/sleep.test.ts"],
    ["global variable", "zig/global.zig"],
    ["global variable", "zig/local_global.zig"],
    ["std.debug.print", "zig/print.zig"],
    ["anyopaque", "zig/erased.zig"],
    ["export: use a function", "zig/exported.zig"],
    ["layers of zig", "zig/kernel/upward.zig"],
    ["zig/tests.zig names", "zig/tested.zig"],
    ["every file is imported", "src/any.ts"],
  ] as const)("%s: %s", (rule, path) => {
    expect(found(rule, path)).toHaveLength(1);
  });

  test("each error that is dropped", () => {
    expect(found("dropped", "zig/dropped.zig")).toHaveLength(2);
  });

  test("each declaration that is dead, also one that is not pub", () => {
    expect(found("a Zig file declares", "zig/dead.zig")).toHaveLength(2);
  });

  test("the export that nobody imports", () => {
    expect(found("what a file exports", "src/dead.ts")).toEqual([
      "src/dead.ts:2: unused is imported nowhere: do not export it, or delete it",
    ]);
  });

  test("what asks the host, but not a key of the same name", () => {
    expect(found("pure", "src/options/host.ts")).toEqual(["src/options/host.ts:2: asks the host"]);
  });
});

describe("let pass", () => {
  test.each([
    ["a function has at most", "zig/generic.zig"],
    ["flag", "src/single.ts"],
    ["flag", "zig/single.zig"],
    ["banners", "src/strings.ts"],
    ["history", "src/strings.ts"],
    ["folders of src", "src/machine/downward.ts"],
    ["global variable", "zig/local.zig"],
    ["dropped", "zig/reasoned.zig"],
    ["every file is imported", "src/dead.ts"],
  ] as const)("%s: %s", (rule, path) => {
    expect(found(rule, path)).toEqual([]);
  });
});
