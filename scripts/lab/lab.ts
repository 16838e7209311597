// bun run lab: a host with a working /dev/kvm, for machines whose own cannot run Linux.

import { existsSync, readFileSync } from "node:fs";
import { messageOf, UserError } from "../../src/errors.ts";
import { hostCanRunLinux, labDown, labState, labUp, runningPid } from "./index.ts";
import { labRunHere, terminalSize } from "./terminal.ts";

const usage = `usage: bun run lab up | down | status | log | probe
       bun run lab run [-i] [-t] [-C FOLDER] [-e NAME=VALUE]... [--timeout SECONDS]
                       -- COMMAND [ARGUMENT]...
  -i  pass standard input on      -t  give the command a terminal
  --timeout  end the command after this time (900; 0: no limit, as with -t)
Exit code 125: the lab failed, not the command.`;

const labFailure = 125;

interface RunArguments {
  argv: string[];
  stdin: boolean;
  terminal: boolean;
  cwd: string;
  env: Record<string, string>;
  timeoutSeconds: number | undefined;
}

function parseRun(words: string[]): RunArguments {
  const end = words.indexOf("--");
  const argv = end < 0 ? [] : words.slice(end + 1);
  if (argv.length === 0) throw new UserError('lab run needs "--" and a command after it');
  const parsed: RunArguments = {
    argv,
    stdin: false,
    terminal: false,
    cwd: process.cwd(),
    env: {},
    timeoutSeconds: undefined,
  };
  const options = words.slice(0, end);
  const value = (option: string): string => {
    const next = options.shift();
    if (next === undefined) throw new UserError(`lab run: ${option} needs a value`);
    return next;
  };
  for (let option = options.shift(); option !== undefined; option = options.shift()) {
    if (option === "-i") parsed.stdin = true;
    else if (option === "-t") parsed.terminal = true;
    else if (option === "-C") parsed.cwd = value(option);
    else if (option === "-e") addVariable(parsed.env, value(option));
    else if (option === "--timeout") parsed.timeoutSeconds = readSeconds(value(option));
    else throw new UserError(`lab run: unknown option "${option}"; known: -i -t -C -e --timeout`);
  }
  return parsed;
}

function addVariable(env: Record<string, string>, assignment: string): void {
  const [name, ...rest] = assignment.split("=");
  if (!name || rest.length === 0) {
    throw new UserError(`lab run: -e wants NAME=VALUE, not "${assignment}"`);
  }
  env[name] = rest.join("=");
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (text !== "" && seconds >= 0) return seconds;
  throw new UserError(`lab run: --timeout wants a number of seconds, not "${text}"`);
}

async function run(words: string[]): Promise<number> {
  const parsed = parseRun(words);
  const seconds = parsed.timeoutSeconds ?? (parsed.terminal ? 0 : 900);
  const result = await labRunHere(parsed.argv, {
    cwd: parsed.cwd,
    env: parsed.env,
    ...(seconds > 0 && { timeoutMs: seconds * 1000 }),
    ...((parsed.stdin || parsed.terminal) && { stdin: Bun.stdin.stream() }),
    ...(parsed.terminal && { terminal: terminalSize() }),
  });
  if (result.timedOut) process.stderr.write(`lab: the command was ended after ${seconds} s\n`);
  return result.timedOut ? 124 : result.code;
}

async function up(): Promise<number> {
  const startedAt = performance.now();
  const outcome = await labUp();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(outcome === "started" ? `the lab is up after ${seconds} s` : "the lab is up");
  return 0;
}

function status(): number {
  const pid = runningPid(labState());
  console.log(pid === undefined ? "down" : `up (QEMU's process id is ${pid})`);
  return pid === undefined ? 1 : 0;
}

async function main([verb, ...words]: string[]): Promise<number> {
  switch (verb) {
    case "up":
      return up();
    case "run":
      return run(words);
    case "down":
      await labDown();
      return 0;
    case "status":
      return status();
    case "log": {
      const { consoleLog } = labState();
      if (existsSync(consoleLog)) process.stdout.write(readFileSync(consoleLog));
      return 0;
    }
    case "probe": {
      const { able, reason } = await hostCanRunLinux();
      console.log(able ? "yes" : `no: ${reason}`);
      return 0;
    }
    default:
      console.log(usage);
      return verb === undefined || verb === "help" ? 0 : labFailure;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`lab: ${messageOf(error)}\n`);
  process.exitCode = labFailure;
}
process.exit();
