// A process that takes the terminal on standard input, and ends as it is told by a signal.

import { Core } from "../../src/core/core.ts";
import { setTerminalRaw } from "../../src/core/host_calls.ts";
import { confineProcess } from "../../src/host/seccomp.ts";

const core = Core.create();
setTerminalRaw(core, 0);
process.on("SIGUSR1", () => {
  confineProcess(core, 2);
  Bun.spawnSync(["/bin/true"]);
});
process.on("SIGUSR2", () => {
  core.destroy();
  process.exit(0);
});
setInterval(() => {}, 1000);
console.log("ready");
