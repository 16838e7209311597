// bun run test: every level of tests that exists, each with a time limit; the last lines name what
// failed, at once or for good, and are the sum.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { messageOf, UserError } from "../src/errors.ts";
import { labDown, labState, runningPid } from "./lab/index.ts";
import { checkout } from "./lib/paths.ts";
import { zigCommand } from "./lib/zig.ts";

interface Part {
  name: string;
  command: [string, ...string[]];
  /** Files and folders of tests, the command's last words; such a part can run in pieces. */
  tests?: readonly string[];
  /** The whole of it; fifteen minutes without. */
  timeoutMs?: number;
  environment?: Readonly<Record<string, string>>;
  /** Runs only when it is named. */
  isOnDemand?: true;
  /**
   * Reads the counts from what the command printed; a check that prints none counts as one test.
   */
  count: (output: string) => Counts | undefined;
}

interface Counts {
  passed: number;
  failed: number;
}

interface Failure {
  readonly file: string;
  readonly name: string;
}

const partTimeoutMs = 15 * 60_000;
const testTimeoutMs = 120_000;
/** Room for a guest that hangs, or for a lost lab, a new one and a second try. */
const bootTestTimeoutMs = 300_000;
/**
 * Cheap levels first, so that a mistake shows early; folders that are not named come after them.
 */
const order = "repo options firmware qmp bus kvm faults lab security boot".split(" ");
const ignored = new Set(["perf", "soak", "support"]);
const soakTimeoutMs = 60 * 60_000;
/** More of them than this are no accident. */
const mostFilesAgain = 4;

function suites(): string[] {
  const folders = readdirSync(join(checkout, "tests"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !ignored.has(entry.name))
    .map((entry) => entry.name)
    .filter((name) => [...new Bun.Glob("**/*.test.ts").scanSync(join(checkout, "tests", name))][0]);
  const known = order.filter((name) => folders.includes(name));
  return [...known, ...folders.filter((name) => !order.includes(name)).sort()];
}

function parts(): Part[] {
  const all: Part[] = [];
  if (existsSync(join(checkout, "scripts/check.ts"))) {
    all.push({ name: "check", command: ["bun", "scripts/check.ts"], count: () => undefined });
  }
  if (existsSync(join(checkout, "build.zig"))) {
    const command: Part["command"] = [...zigCommand(), "build", "test", "--summary", "all"];
    all.push({ name: "zig", command, count: countZig });
  }
  for (const name of suites()) {
    const timeoutMs = name === "boot" ? bootTestTimeoutMs : testTimeoutMs;
    const command: Part["command"] = ["bun", "test", "--timeout", String(timeoutMs)];
    all.push({ name, command, tests: [`./tests/${name}/`], count: countBun });
  }
  return [...all, soak()];
}

/** What makes leaks show: tests of its own, and those of templates with more rounds. */
function soak(): Part {
  const command: Part["command"] = ["bun", "test", "--timeout", String(soakTimeoutMs)];
  return {
    name: "soak",
    command,
    tests: ["./tests/soak/", "./tests/kvm/template.test.ts"],
    environment: { STRATOVIRT_SOAK: "1" },
    timeoutMs: soakTimeoutMs,
    isOnDemand: true,
    count: countBun,
  };
}

function countZig(output: string): Counts | undefined {
  const found = /(\d+)\/(\d+) tests passed/.exec(output);
  if (found === null) return undefined;
  const passed = Number(found[1]);
  const failed = Number(/tests passed;.*?(\d+) failed/.exec(output)?.[1] ?? 0);
  return { passed, failed };
}

function countBun(output: string): Counts | undefined {
  const passed = /^\s*(\d+) pass$/m.exec(output)?.[1];
  const failed = /^\s*(\d+) fail$/m.exec(output)?.[1];
  if (passed === undefined || failed === undefined) return undefined;
  return { passed: Number(passed), failed: Number(failed) };
}

/** What Bun printed of tests that failed: each below the name of its file. */
function failuresIn(output: string): Failure[] {
  const failures: Failure[] = [];
  let file = "";
  for (const line of output.split("\n")) {
    // A long run names them once more at its end, below no file.
    if (/^\d+ tests failed:$/.test(line)) break;
    file = /^(tests\/\S+\.test\.ts):$/.exec(line)?.[1] ?? file;
    const name = /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/.exec(line)?.[1];
    if (name !== undefined) failures.push({ file, name });
  }
  return failures;
}

interface Ran {
  readonly code: number;
  readonly output: string;
}

async function runTests(part: Part, tests = part.tests ?? []): Promise<Ran> {
  const command: Part["command"] = [...part.command, ...tests];
  process.stdout.write(`\n== ${part.name}: ${command.join(" ")}\n`);
  const child = Bun.spawn(command, {
    cwd: checkout,
    env: { ...process.env, ...part.environment, NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: part.timeoutMs ?? partTimeoutMs,
    killSignal: "SIGKILL",
  });
  const [output, errors, code] = await Promise.all([
    echo(child.stdout),
    echo(child.stderr),
    child.exited,
  ]);
  return { code, output: output + errors };
}

/**
 * A file that failed runs once more, alone, for a lab under software emulation is lost now and
 * then: what passes then counts as passed, and the last lines tell it.
 */
async function runPart(part: Part, remarks: string[]): Promise<Counts> {
  const startedAt = performance.now();
  const { code, output } = await runTests(part);
  const counted = part.count(output) ?? { passed: code === 0 ? 1 : 0, failed: 0 };
  if (code !== 0) {
    counted.failed = Math.max(counted.failed, 1);
    const failures = failuresIn(output);
    const passesNow = await passesAgain(part, failures);
    if (passesNow) {
      counted.passed += counted.failed;
      counted.failed = 0;
    }
    const verdict = passesNow ? "passed at the second try only" : "failed";
    const told = failures.map(({ file, name }) => `${verdict}: ${file}: ${name}`);
    remarks.push(...(told.length === 0 ? [`${verdict}: ${part.name}`] : told));
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const { passed, failed } = counted;
  process.stdout.write(`== ${part.name}: ${passed} passed, ${failed} failed in ${seconds} s\n`);
  return counted;
}

async function passesAgain(part: Part, failures: readonly Failure[]): Promise<boolean> {
  const files = [...new Set(failures.map(({ file }) => file))].filter((file) => file !== "");
  if (part.tests === undefined || files.length > mostFilesAgain) return false;
  // A run that ended before it named one is run again whole.
  const tests = files.length === 0 ? part.tests : files.map((file) => `./${file}`);
  return (await runTests(part, tests)).code === 0;
}

async function echo(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function selected(words: string[]): Part[] {
  const all = parts();
  const names = all.map((part) => part.name);
  const wanted: string[] = [];
  for (let index = 0; index < words.length; index += 2) {
    const name = words[index + 1] ?? "";
    if (words[index] !== "--suite" || !names.includes(name)) {
      const given = words.slice(index, index + 2).join(" ");
      throw new UserError(`"${given}" is not --suite with one of: ${names.join(" ")}`);
    }
    wanted.push(name);
  }
  return all.filter(({ name, isOnDemand }) =>
    wanted.length === 0 ? isOnDemand === undefined : wanted.includes(name),
  );
}

let passed = 0;
let failed = 0;
const remarks: string[] = [];
try {
  const labWasUp = runningPid(labState()) !== undefined;
  for (const part of selected(process.argv.slice(2))) {
    const counted = await runPart(part, remarks);
    passed += counted.passed;
    failed += counted.failed;
  }
  if (!labWasUp) await labDown();
} catch (error) {
  process.stderr.write(`test: ${messageOf(error)}\n`);
  failed += 1;
}
console.log([...remarks, `${passed} passed, ${failed} failed`].join("\n"));
process.exit(failed === 0 ? 0 : 1);
