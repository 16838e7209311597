// stratovirt: command line -> configuration -> machine -> run until it ends.

import { messageOf } from "./errors.ts";
import { checkDaemon, reportFailure, reportReady, writePidfile } from "./host/daemon.ts";
import { type Log, logLevel, openLog } from "./host/log.ts";
import { confineProcess, filterPrograms } from "./host/seccomp.ts";
import { type Assembly, assemble } from "./machine/assemble.ts";
import { type Ending, guestEnding, Machine } from "./machine/machine.ts";
import { parseCommandLine } from "./options/command_line.ts";
import type { Config } from "./options/config.ts";
import type { QmpServer } from "./qmp/server.ts";
import { VERSION } from "./version.ts";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;

/** Runs the program; resolves to its exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const [first] = argv;
  if (first !== undefined && !first.startsWith("-")) {
    const { runTool } = await import("./tools/tools.ts");
    const { text, exitCode } = await runTool(argv);
    if (text !== "") console.log(text);
    return exitCode;
  }
  const parsed = parseCommandLine(argv, VERSION);
  if (parsed.kind === "print") {
    console.log(parsed.text);
    return 0;
  }
  const { config } = parsed;
  checkDaemon(config.process);
  const log = openLog(config.process.logFile, logLevel(process.env.STRATOVIRT_LOG_LEVEL));
  for (const { option } of config.ignored) log.debug(`-${option} has no effect`);
  try {
    return await runMachine(config, log);
  } catch (error) {
    if (config.process.logFile !== undefined) log.error(messageOf(error));
    throw error;
  } finally {
    log.close();
  }
}

async function runMachine(config: Config, log: Log): Promise<number> {
  const { pidfile } = config.process;
  const pid = pidfile === undefined ? undefined : writePidfile(pidfile);
  try {
    return await runAssembly(assemble(config), config, log);
  } finally {
    pid?.close();
  }
}

async function runAssembly(assembly: Assembly, config: Config, log: Log): Promise<number> {
  const machine = await Machine.create(assembly, config, log);
  endOnSignals(machine);
  endOnDefects(machine);
  const servers: QmpServer[] = [];
  try {
    await openQmp(config, machine, servers);
    await openTestBus(config, assembly, machine);
    const { startPaused } = config.process;
    if (config.process.seccomp) {
      const scope = config.backEnds.length === 0 ? "alone" : "with back ends";
      confineProcess(assembly.core, log.fd, filterPrograms(scope));
      log.onTurn((fd) => assembly.core.setViolationLog(fd));
    }
    if (!startPaused) machine.start();
    assembly.resources.keep();
    reportReady(config.process);
    const ending = await machine.ended;
    await Promise.all(servers.map((server) => server.flush()));
    return report(ending, log);
  } finally {
    for (const server of servers) server.close();
    machine.close();
  }
}

/** What not every machine needs is loaded by those that do. */
async function openQmp(config: Config, machine: Machine, servers: QmpServer[]): Promise<void> {
  if (config.qmp.length === 0) return;
  const { serveQmp } = await import("./qmp/server.ts");
  for (const endpoint of config.qmp) servers.push(await serveQmp(endpoint, machine, VERSION));
}

async function openTestBus(config: Config, assembly: Assembly, machine: Machine): Promise<void> {
  const { modTestSocket } = config.process;
  if (modTestSocket === undefined) return;
  const { createTestBus } = await import("./machine/test_bus.ts");
  const { serveTestBus } = await import("./qmp/test_server.ts");
  const bus = createTestBus(assembly, (reason) => machine.end(guestEnding(reason)));
  await serveTestBus(modTestSocket, bus);
}

function report(ending: Ending, log: Log): number {
  if (ending.exitCode !== 0) log.error(ending.sentence);
  return ending.exitCode;
}

function endOnSignals(machine: Machine): void {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      machine.end({
        reason: "host-signal",
        byGuest: false,
        exitCode: 0,
        sentence: `the machine was ended by ${signal}`,
      });
    });
  }
}

/** A defect of this program ends the machine in order: the terminal is restored, files go. */
function endOnDefects(machine: Machine): void {
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      machine.end({
        reason: "host-error",
        byGuest: false,
        exitCode: 1,
        sentence: `internal error: ${detail}`,
      });
    });
  }
}

/** The whole process: errors become one sentence on stderr and exit code 1. */
export async function runProcess(argv: readonly string[]): Promise<never> {
  try {
    process.exit(await main(argv));
  } catch (error) {
    const sentence = `stratovirt: ${messageOf(error)}`;
    if (!reportFailure(sentence)) console.error(sentence);
    process.exit(1);
  }
}
