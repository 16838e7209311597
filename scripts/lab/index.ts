// The lab for other programs: tests, bench, quickstart.

export { LabError } from "./connection.ts";
export { labDown, labUp } from "./host.ts";
export { type HostVerdict, hostCanRunLinux, probeProgram } from "./probe.ts";
export { labRun, labStart } from "./run.ts";
export { labShare, labState, runningPid } from "./state.ts";
export { labRunHere } from "./terminal.ts";
