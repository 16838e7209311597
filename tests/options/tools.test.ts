// The subcommands for people: check, doctor, completion and reference.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../src/errors.ts";
import { allOptions } from "../../src/options/options.ts";
import { candidates } from "../../src/tools/candidates.ts";
import { checkCommandLine } from "../../src/tools/check.ts";
import { runTool, toolNames } from "../../src/tools/tools.ts";
import { Program } from "../support/program.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { printed, words } from "./run.ts";

const checkout = join(import.meta.dir, "..", "..");

async function answer(line: string): Promise<string> {
  try {
    return (await runTool(words(line))).text;
  } catch (error) {
    return messageOf(error);
  }
}

test("check prints the resolved machine as JSON", async () => {
  using folder = new TemporaryFolder();
  const kernel = folder.file("kernel");
  writeFileSync(kernel, "k");
  const config = JSON.parse(await answer(`check -kernel ${kernel} -smp 2 -m 1G`));
  expect(config).toMatchObject({
    machine: { type: "microvm", accel: "kvm" },
    cpu: { count: 2, cores: 2 },
    memory: { sizeBytes: 2 ** 30 },
    boot: { kernelPath: kernel },
  });
});

test("check refuses what a start would refuse, with the same sentence", async () => {
  expect(await answer("check -kernel k -machin microvm")).toBe(
    "Unknown option '-machin'. Did you mean '-machine'?",
  );
  expect(await answer("check -kernel /nowhere/kernel")).toBe(
    "The file '/nowhere/kernel' of the kernel does not exist; check the path.",
  );
});

test("check looks for a template instead of a kernel", () => {
  expect(() => checkCommandLine(words("-kernel /nowhere -incoming file:/nowhere/t"))).toThrow(
    "The file '/nowhere/t/state' of the template does not exist; check the path.",
  );
});

test("check names the drive whose file is missing", () => {
  const line = "-machine microvm,accel=test -drive file=/nowhere/disk,id=root,direct=off";
  expect(() => checkCommandLine(words(line))).toThrow(
    "The file '/nowhere/disk' of the drive 'root' does not exist; check the path.",
  );
});

test("check passes a line on that only asks for help", async () => {
  expect(await answer("check -machine help")).toContain("dump-guest-core=");
});

test("a mistyped subcommand gets a suggestion, and the program's exit code is 1", async () => {
  await using program = new Program(["docter"]);
  expect(await program.end).toEqual({
    code: 1,
    stdout: "",
    stderr: "stratovirt: Unknown command 'docter'. Did you mean 'doctor'?\n",
  });
});

test("what begins with no dash and is near nothing is told the commands", async () => {
  expect(await answer("microvm")).toBe(
    "Unknown command 'microvm'. Known: check, doctor, completion, reference; " +
      "options begin with a dash, see -help.",
  );
});

test("-help names every subcommand", () => {
  expect(printed("-help")).toContain(`stratovirt ${toolNames.join(" | ")} …`);
});

test.each(toolNames)("%s --help says what it does", async (name) => {
  expect(await answer(`${name} --help`)).toContain(`stratovirt ${name}`);
});

const completed: [string[], string[]][] = [
  [["che"], ["check"]],
  [["-mach"], ["-machine"]],
  [["check", "-mach"], ["-machine"]],
  [["-machine", "mi"], ["microvm"]],
  [["-machine", "q"], []],
  [
    ["-machine", "microvm,ac"],
    ["microvm,accel=", "microvm,acpi="],
  ],
  [
    ["-machine", "microvm,acpi=o"],
    ["microvm,acpi=on", "microvm,acpi=off"],
  ],
  [["-machine", "acpi=off,acp"], []],
  [
    ["-accel", ""],
    ["kvm", "kvm:tcg", "test"],
  ],
  [["-device", "virtio-blk-dev"], ["virtio-blk-device"]],
  [["-device", "virtio-blk-device,dr"], ["virtio-blk-device,drive="]],
  [["-qmp", "unix:sock,ser"], ["unix:sock,server"]],
  [["-kernel", "vm"], []],
  [["-nonsense", ""], []],
  [["-device", "__proto__,"], []],
];

test.each(completed)("%j is completed to %j", (typed, found) => {
  expect(candidates(typed, toolNames)).toEqual(found);
});

test("an empty line offers every subcommand and every supported option", () => {
  const supported = allOptions.filter(
    (option) => option.supported !== false && option.shape !== "ignored",
  );
  const expected = [...toolNames, ...supported.map(({ name }) => `-${name}`)];
  expect(candidates([""], toolNames)).toEqual(expected);
});

/** Completes the text as bash would, with this checkout's program behind the name. */
function bashReply(text: string, wordAtCursor: string): string[] {
  const script = `
    stratovirt() { '${process.execPath}' '${checkout}/src/main.ts' "$@"; }
    source <(stratovirt completion bash)
    compopt() { :; }
    COMP_LINE='${text}' COMP_POINT=${text.length} COMP_WORDS=('${wordAtCursor}') COMP_CWORD=0
    _stratovirt
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = Bun.spawnSync(["bash", "-c", script]);
  return stdout.toString().trim().split("\n");
}

test("bash gets the part behind what it splits words at", () => {
  expect(bashReply("stratovirt -machine acpi=o", "o")).toEqual(["on", "off"]);
  expect(bashReply("stratovirt -accel kvm:t", "t")).toEqual(["tcg"]);
});

test("bash gets the options of a line that has some already", () => {
  expect(bashReply("stratovirt -m 1G -mach", "-mach")).toEqual(["-machine"]);
  expect(bashReply("stratovirt -accel ", "")).toEqual(["kvm", "kvm:tcg", "test"]);
});

test.each(["bash", "zsh", "fish"])("there is a completion for %s", async (shell) => {
  expect(await answer(`completion ${shell}`)).toContain("completion words --");
});

test("other shells are refused", async () => {
  expect(await answer("completion tcsh")).toStartWith("There is no completion for the shell");
});

test("the references are JSON schemas, Markdown and a manual page", async () => {
  expect(JSON.parse(await answer("reference qmp-schema"))).toHaveProperty("$defs.requests.stop");
  expect(JSON.parse(await answer("reference options-schema"))).toHaveProperty("properties.smp");
  expect(await answer("reference qmp")).toContain("### query-status");
  expect(await answer("reference manual")).toContain(".B \\-machine");
  expect(await answer("reference qnp")).toContain("Did you mean 'qmp'?");
});

test("a normal start loads no subcommand", async () => {
  const { stdout } = Bun.spawnSync([
    process.execPath,
    "-e",
    `await import("${checkout}/src/program.ts");
     const loaded = Object.keys(require.cache);
     console.log(loaded.filter((path) => /citty|src.tools/.test(path)).length);`,
  ]);
  expect(stdout.toString()).toBe("0\n");
});
