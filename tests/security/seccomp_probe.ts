// Builds the probe of system calls and runs it and the confined child.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand, tryCommand } from "../../scripts/lib/command.ts";
import { cachePath, checkout, contentKey } from "../../scripts/lib/paths.ts";
import { publish } from "../../scripts/lib/publish.ts";
import { zigCommand } from "../../scripts/lib/zig.ts";
import { filterPrograms } from "../../src/host/seccomp.ts";
import { CODE_SEGMENT, elfBytes } from "../firmware/kernel_files.ts";

/** A cold build compiles libc. */
export const BUILD_TIMEOUT_MS = 300_000;

const SOURCES = [
  "tests/security/seccomp_probe.zig",
  "zig/seccomp.zig",
  "zig/seccomp_violation.zig",
  "zig/io/terminal_rescue.zig",
  "zig/errors.zig",
  "zig/kernel/system.zig",
].map((path) => join(checkout, path));

const folder = mkdtempSync(join(tmpdir(), "seccomp-"));

/** A path in this run's own folder. */
function temporaryPath(name: string): string {
  return join(folder, name);
}

export function removeTemporaryFiles(): void {
  rmSync(folder, { recursive: true, force: true });
}

/** The path of the probe, cached by its sources. */
export async function buildProbe(): Promise<string> {
  const texts = await Promise.all(SOURCES.map((path) => Bun.file(path).text()));
  const output = join(cachePath("programs"), `seccomp_probe-${contentKey(...texts)}`);
  const [root = "", seccomp = ""] = SOURCES;
  const options = ["-target", `${machine()}-linux-musl`, "-O", "ReleaseSafe", "-lc"];
  return publish(output, async (temporary) => {
    const modules = ["--dep", "seccomp", ...options, `-Mroot=${root}`];
    modules.push(...options, `-Mseccomp=${seccomp}`);
    await runCommand([...zigCommand(), "build-exe", `-femit-bin=${temporary}`, ...modules], {
      cwd: cachePath("programs"),
      timeoutMs: BUILD_TIMEOUT_MS,
    });
  });
}

function machine(): string {
  return process.arch === "x64" ? "x86_64" : "aarch64";
}

export interface Ending {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Makes one call on a thread with the filter of `kind`. */
export async function probe(kind: "main" | "vcpu" | "iothread", call: string): Promise<Ending> {
  const filter = temporaryPath(`${kind}.bpf`);
  writeFileSync(filter, filterPrograms()[kind]);
  const { code, stdout, stderr } = await tryCommand([await buildProbe(), filter, call]);
  return { code, stdout: new TextDecoder().decode(stdout), stderr };
}

const CHILD = join(import.meta.dir, "seccomp_child.ts");

/** The command that starts the confined child. */
export function childCommand(action: string): [string, ...string[]] {
  return [process.execPath, CHILD, action, temporaryPath(`${action}.sock`)];
}

export async function runChild(action: string): Promise<Ending> {
  const { code, stdout, stderr } = await tryCommand(childCommand(action));
  return { code, stdout: new TextDecoder().decode(stdout), stderr };
}

/** Uses a disk of each kind of request under the filters. */
export async function runDiskChild(engine: number): Promise<Ending> {
  const path = join(import.meta.dir, "seccomp_disk_child.ts");
  const { code, stdout, stderr } = await tryCommand([process.execPath, path, String(engine)]);
  return { code, stdout: new TextDecoder().decode(stdout), stderr };
}

/** "A" to the serial port, then nothing but spinning. */
const SPINNING_CODE = [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xf3, 0x90, 0xeb, 0xfc];
const CODE_OFFSET = 0x1000;

/** A microvm whose guest has run its first instructions. */
export async function startMachine(...options: string[]) {
  const kernel = temporaryPath("kernel");
  writeFileSync(kernel, elfBytes([CODE_SEGMENT], [CODE_OFFSET, ...SPINNING_CODE]));
  const machine = Bun.spawn(
    [
      ...[process.execPath, join(checkout, "src/main.ts"), "-machine", "microvm", "-m", "128M"],
      ...["-kernel", kernel, "-serial", "stdio", ...options],
    ],
    { stdin: "pipe", stdout: "pipe" },
  );
  await machine.stdout.getReader().read();
  return machine;
}
