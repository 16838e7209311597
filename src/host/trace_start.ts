// -trace: from its keys to events that are on, and the list of events for -trace help.

import { existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { TRACE_EVENTS } from "../core/trace_events.gen.ts";
import { errorCode, UserError } from "../errors.ts";
import type { TraceConfig } from "../options/config.ts";
import type { Log } from "./log.ts";
import { Trace } from "./trace.ts";

const MOUNTS = "/proc/mounts";
/** Where kernels and distributions put it, should /proc not tell. */
const USUAL_TRACEFS = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/** Switches on what -trace names. Throws a UserError for a file or a back end that is not there. */
export function startTrace(config: TraceConfig, log: Log): Trace {
  const patterns = config.file === undefined ? [] : readPatterns(config.file);
  const trace = new Trace(log, config.backend === "ftrace" ? openMarker() : undefined);
  try {
    for (const pattern of patterns) {
      if (trace.set(pattern, "on") > 0) continue;
      log.warn(`-trace file '${config.file}': no event fits '${pattern}'`);
    }
  } catch (error) {
    trace.close();
    throw error;
  }
  if (config.type === "all" || config.type === "events") trace.setKind("event", "on");
  if (config.type === "all" || config.type === "scopes") trace.setKind("scope", "on");
  if (config.backend === "log" && !log.showsTrace) {
    log.error("-trace shows nothing: set STRATOVIRT_LOG_LEVEL=trace, or use backend=ftrace");
  }
  return trace;
}

function readPatterns(path: string): string[] {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  } catch (error) {
    const code = errorCode(error);
    throw new UserError(`The file '${path}' (-trace) cannot be read (${code}); check the path.`);
  }
}

/** The folder of tracefs, by the kernel's list of mounts or by its usual places. */
export function findTracefs(mounts: string): string | undefined {
  const mounted = mounts.split("\n").map((line) => line.split(" "));
  const listed = mounted
    .filter(([, , type]) => type === "tracefs")
    .map(([, folder = ""]) => folder);
  return [...listed, ...USUAL_TRACEFS].find((folder) => existsSync(`${folder}/trace_marker`));
}

function openMarker(): number {
  const folder = findTracefs(existsSync(MOUNTS) ? readFileSync(MOUNTS, "utf8") : "");
  if (folder === undefined) {
    throw new UserError(
      "-trace backend=ftrace needs tracefs: 'mount -t tracefs tracefs /sys/kernel/tracing', " +
        "or use backend=log.",
    );
  }
  try {
    writeFileSync(`${folder}/tracing_on`, "1");
    return openSync(`${folder}/trace_marker`, "w");
  } catch (error) {
    throw new UserError(
      `-trace backend=ftrace cannot use '${folder}' (${errorCode(error)}); ` +
        "check who may write there, or use backend=log.",
    );
  }
}

/** Every event with its arguments, by module. */
export function traceEventList(): string {
  const rows = Object.entries(TRACE_EVENTS).map(([name, declared]) => {
    const kind = declared.kind === "scope" ? " (scope)" : "";
    const names = Object.keys(declared.arguments).join(", ");
    return { module: declared.module, text: `  ${name}(${names})${kind}\n      ${declared.help}` };
  });
  const modules = [...new Set(rows.map(({ module }) => module))];
  const sections = modules.map((module) => {
    const own = rows.filter((row) => row.module === module).map(({ text }) => text);
    return `${module}:\n${own.join("\n")}`;
  });
  return sections.join("\n\n");
}
