// The program of the static tests: calls the probe core and prints what it sees as JSON.

import { dlopen, ptr } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";

declare const STRATOVIRT_CORE: string;

const { symbols } = dlopen(STRATOVIRT_CORE, {
  probe_add: { args: ["i32", "i32"], returns: "i32" },
  probe_threads: { args: ["u32"], returns: "u32" },
  probe_fill: { args: ["ptr", "usize"], returns: "u64" },
});

function refusal(): string {
  try {
    dlopen("/nowhere.so", { missing: { args: [], returns: "void" } });
    return "none";
  } catch (error) {
    return String(error);
  }
}

const MAPS = "/proc/self/maps";
const bytes = new Uint8Array(1000);
console.log(
  JSON.stringify({
    sum: symbols.probe_add(40, 2),
    threads: symbols.probe_threads(32),
    fill: Number(symbols.probe_fill(ptr(bytes), bytes.length)),
    lastByte: bytes[999],
    refusal: refusal(),
    argv0: process.argv0,
    arguments: process.argv.slice(2),
    execArgv: process.execArgv,
    variables: Object.keys(process.env).sort(),
    user: process.getuid?.(),
    maps: existsSync(MAPS) ? readFileSync(MAPS, "latin1") : "",
  }),
);
