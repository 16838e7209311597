// Runs ozone and fails one step of its plan, or kills the launcher before it:
// `ozone_fault.ts fail|kill INDEX OPTION…`; the index after the last step is the program's start.

import { ozone } from "../../src/ozone/ozone.ts";

const [how, index, ...argv] = process.argv.slice(2);
let next = 0;

const code = ozone(argv, () => {
  next += 1;
  if (next - 1 !== Number(index)) return;
  if (how === "kill") process.kill(process.pid, "SIGKILL");
  throw Object.assign(new Error("injected"), { code: "EINJECTED" });
});
process.exit(code);
