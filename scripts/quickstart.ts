// The quickstart after its tools are there: builds, makes the guest images, and boots them to a
// shell. Without a terminal it runs a short session by itself instead.

import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf, UserError } from "../src/errors.ts";
import { type GuestImages, guestImages } from "./guest/images.ts";
import { kernelArguments } from "./guest/kernel_arguments.ts";
import { type HostVerdict, hostCanRunLinux, labRun, labRunHere, labUp } from "./lab/index.ts";
import { terminalSize } from "./lab/terminal.ts";
import { runCommand } from "./lib/command.ts";
import { cachePath, checkout } from "./lib/paths.ts";
import { Stages } from "./lib/stages.ts";

const bootTimeoutMs = 180_000;
const executable = join(checkout, "dist/stratovirt");
const labFolder = "/tmp/quickstart";
const session = "uname -a; mount | grep ' / '; ls /";

async function build(): Promise<void> {
  await runCommand(["bun", join(checkout, "scripts/build.ts"), "--arch", "x86_64"], {
    cwd: checkout,
    timeoutMs: 600_000,
  });
  if (!existsSync(executable)) throw new UserError(`the build made no ${executable}`);
}

function machine(program: string, images: GuestImages, disk: string, append: string): string[] {
  return [
    ...[program, "-machine", "microvm", "-smp", "1", "-m", "512M"],
    ...["-kernel", images.kernel, "-initrd", images.initrd, "-append", append],
    ...["-drive", `file=${disk},id=root,readonly=off,direct=off`],
    ...["-device", "virtio-blk-device,drive=root,id=disk0", "-serial", "stdio"],
  ];
}

/**
 * Files that are mapped are slow over the lab's shared folders: they are copied into its memory.
 */
async function copyToLab(images: GuestImages): Promise<GuestImages> {
  const files = [executable, images.kernel, images.initrd, images.disk];
  const copy = `mkdir -p ${labFolder} && cp -u --remove-destination "$@" ${labFolder}`;
  const result = await labRun(["sh", "-c", copy, "sh", ...files], { timeoutMs: bootTimeoutMs });
  if (result.code !== 0) throw new UserError(`cannot copy into the lab: ${result.stderr.trim()}`);
  const inLab = (path: string) => join(labFolder, basename(path));
  return {
    ...images,
    kernel: inLab(images.kernel),
    initrd: inLab(images.initrd),
    disk: inLab(images.disk),
  };
}

/**
 * Runs the machine joined to this terminal, here or in the lab; gives its exit code and what it
 * printed.
 */
async function runMachine(
  argv: string[],
  where: HostVerdict,
  mode: "joined" | "scripted",
): Promise<{ code: number; output: string }> {
  if (!where.able && mode === "joined") {
    const stdin = Bun.stdin.stream();
    const { code } = await labRunHere(argv, { stdin, terminal: terminalSize(), cwd: "/" });
    return { code, output: "" };
  }
  if (!where.able) {
    const result = await labRun(argv, { timeoutMs: bootTimeoutMs, cwd: "/" });
    return { code: result.code, output: result.stdout + result.stderr };
  }
  const [program = executable, ...words] = argv;
  const child = Bun.spawn([program, ...words], {
    ...(mode === "joined"
      ? { stdio: ["inherit", "inherit", "inherit"] }
      : { stdio: ["ignore", "pipe", "inherit"], timeout: bootTimeoutMs }),
  });
  const output = child.stdout === undefined ? "" : await new Response(child.stdout).text();
  return { code: await child.exited, output };
}

async function main(): Promise<number> {
  const stages = new Stages();
  const startedMs = Number(process.env.STRATOVIRT_STARTED_MS ?? Date.now());
  stages.add("tools", Date.now() - startedMs);
  await stages.run("build", build);
  let images = await stages.run("guest images", () => guestImages());
  const where = await stages.run("probe of this host's KVM", hostCanRunLinux);
  let disk = join(cachePath("guest"), "quickstart.ext4");
  if (where.able) {
    mkdirSync(cachePath("guest"), { recursive: true });
    copyFileSync(images.disk, disk);
    console.log("The guest runs on this host's own KVM.");
  } else {
    console.log(`The guest runs in the lab, an emulated host; this host's KVM: ${where.reason}.`);
    await stages.run("lab", () => labUp());
    images = await stages.run("copies into the lab", () => copyToLab(images));
    disk = images.disk;
  }
  const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const mode = interactive ? "joined" : "scripted";
  const append = kernelArguments(interactive ? {} : { script: session });
  const program = where.able ? executable : join(labFolder, basename(executable));
  const argv = machine(program, images, disk, append);
  console.log(`Stages: ${stages.summary()}. To leave the guest: poweroff, or Ctrl-A x.`);
  const { code, output } = await stages.run("guest", () => runMachine(argv, where, mode));
  process.stdout.write(output);
  console.log(`Stages: ${stages.summary()}.`);
  if (interactive || (code === 0 && output.includes("script ended with 0"))) return code;
  throw new UserError(`the guest did not finish its session (exit code ${code})`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`quickstart: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
process.exit();
