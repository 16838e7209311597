// The first file of the static executable, which is two programs: the name that it was started by
// decides. One file under two names is half the size, and the page cache holds its code once.

import { basename } from "node:path";

if (basename(process.argv0) === "ozone") await import("../../src/ozone.ts");
else await import("../../src/main.ts");
