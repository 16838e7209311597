// stratovirt: command line -> configuration -> machine -> run until it ends.

import { clearSocketPath } from "./backends/socket_path.ts";
import type { Core } from "./core/core.ts";
import { isStaticProgram } from "./core/library.ts";
import { messageOf } from "./errors.ts";
import { checkDaemon, reportFailure, reportReady, writePidfile } from "./host/daemon.ts";
import { type Log, logLevel, openLog } from "./host/log.ts";
import type { MetricsServer } from "./host/metrics_server.ts";
import { confineProcess, filterPrograms } from "./host/seccomp.ts";
import type { Trace } from "./host/trace.ts";
import { type Assembly, assemble } from "./machine/assemble.ts";
import { type Ending, guestEnding, Machine } from "./machine/machine.ts";
import { type CommandLine, parseCommandLine } from "./options/command_line.ts";
import type { Config } from "./options/config.ts";
import type { QmpServer } from "./qmp/server.ts";
import { VERSION } from "./version.ts";

type Printed = Extract<CommandLine, { kind: "print" }>;

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
    console.log(await completeText(parsed));
    return 0;
  }
  const { config } = parsed;
  checkDaemon(config.process);
  const log = openLog(config.process.logFile, logLevel(process.env.STRATOVIRT_LOG_LEVEL));
  for (const { option } of config.ignored) log.debug(`${option} has no effect`);
  try {
    return await runMachine(config, log);
  } catch (error) {
    if (config.process.logFile !== undefined) log.error(messageOf(error));
    throw error;
  } finally {
    log.close();
  }
}

async function completeText({ text, appendix }: Printed): Promise<string> {
  if (appendix === undefined) return text;
  const { traceEventList } = await import("./host/trace_start.ts");
  return `${text}\n\n${traceEventList()}`;
}

async function runMachine(config: Config, log: Log): Promise<number> {
  const { pidfile } = config.process;
  const pid = pidfile === undefined ? undefined : writePidfile(pidfile);
  const trace = await openTrace(config, log);
  try {
    return await runAssembly(await assembleFor(config), { config, log, trace });
  } finally {
    trace?.close();
    pid?.close();
  }
}

/** What not every machine needs is loaded by those that do. */
async function assembleFor(config: Config): Promise<Assembly> {
  if (config.incoming === undefined) return assemble(config);
  const { Incoming } = await import("./machine/snapshot/incoming.ts");
  const incoming = Incoming.open(config.incoming, config);
  try {
    return assemble(config, incoming);
  } finally {
    incoming.close();
  }
}

interface Surroundings {
  readonly config: Config;
  readonly log: Log;
  readonly trace: Trace | undefined;
}

async function runAssembly(assembly: Assembly, surroundings: Surroundings): Promise<number> {
  const { config, log, trace } = surroundings;
  const machine = await Machine.create(assembly, config, log);
  if (trace !== undefined) machine.useTrace(trace);
  endOnSignals(machine);
  endOnDefects(machine);
  const servers: QmpServer[] = [];
  let metrics: MetricsServer | undefined;
  try {
    await openQmp(config, assembly.core, machine, servers);
    metrics = await openMetrics(assembly, config, { machine, servers });
    await openTestBus(config, assembly, machine);
    const { startPaused } = config.process;
    if (config.process.seccomp) {
      if (servers.length > 0) await readLateModules();
      const scope = config.backEnds.length === 0 ? "alone" : "with back ends";
      confineProcess(assembly.core, log.fd, filterPrograms(scope));
      log.onTurn((fd) => assembly.core.setViolationLog(fd));
    }
    if (!startPaused) {
      await machine.untilClients();
      machine.start();
    }
    assembly.resources.keep();
    reportReady(config.process);
    const ending = await machine.ended;
    await Promise.all(servers.map((server) => server.flush()));
    return report(ending, log);
  } finally {
    metrics?.close();
    for (const server of servers) server.close();
    machine.close();
  }
}

async function openQmp(
  config: Config,
  core: Core,
  machine: Machine,
  servers: QmpServer[],
): Promise<void> {
  if (config.qmp.length === 0) return;
  const { serveQmp } = await import("./qmp/server.ts");
  // For migrate; under a filter, a module's folder cannot be read.
  await import("./machine/snapshot/saving.ts");
  for (const endpoint of config.qmp) {
    if (endpoint.transport === "unix") {
      clearSocketPath(core, endpoint.path, `The QMP socket '${endpoint.path}'`);
    }
    servers.push(await serveQmp(endpoint, machine, VERSION));
  }
}

/**
 * Modules that QMP commands load at their first use. From a checkout they are files, which the
 * filters do not let the runtime look for: then they are read before.
 */
async function readLateModules(): Promise<void> {
  if (isStaticProgram()) return;
  await Promise.all([
    import("./host/trace.ts"),
    import("./qmp/option_list.ts"),
    import("./qmp/schema/introspect.ts"),
  ]);
}

async function openTrace(config: Config, log: Log): Promise<Trace | undefined> {
  const { trace } = config.process;
  if (trace === undefined) return undefined;
  const { startTrace } = await import("./host/trace_start.ts");
  return startTrace(trace, log);
}

async function openMetrics(
  assembly: Assembly,
  config: Config,
  { machine, servers }: { readonly machine: Machine; readonly servers: readonly QmpServer[] },
): Promise<MetricsServer | undefined> {
  const { metricsSocket } = config.process;
  if (metricsSocket === undefined) return undefined;
  clearSocketPath(assembly.core, metricsSocket, `The metrics socket '${metricsSocket}'`);
  const { serveMetrics } = await import("./host/metrics_server.ts");
  const { collectMetrics } = await import("./machine/metrics.ts");
  const sources = {
    assembly,
    config,
    status: () => machine.status(),
    bootTimes: () => machine.bootTimes(),
    qmp: servers.map(({ counters }) => counters),
  };
  return serveMetrics(metricsSocket, () => collectMetrics(sources));
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
