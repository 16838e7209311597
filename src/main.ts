// stratovirt: the program. What it does is in program.ts, so that tests can import that.

import { runProcess } from "./program.ts";

await runProcess(process.argv.slice(2));
