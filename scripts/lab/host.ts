// The life of the lab's host: started once, found again, restarted when it is lost, ended without
// a trace.

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tryCommand } from "../lib/command.ts";
import { withLock } from "../lib/lock.ts";
import { type Connection, connect, LabError } from "./connection.ts";
import { hostImages } from "./images.ts";
import { qemuCommand } from "./qemu.ts";
import { isEnding, type LabState, labState, runningPid, writtenPid } from "./state.ts";

const bootTimeoutMs = 120_000;
/** A killed QEMU gives gigabytes back before it closes its files. */
const endTimeoutMs = 10_000;
const helloTimeoutMs = 60_000;
const quickHelloTimeoutMs = 5_000;

/** Makes sure that the host runs and answers. Safe from several processes at once. */
export async function labUp(state = labState()): Promise<"started" | "running"> {
  const { connection, started } = await openLab(state);
  connection.close();
  return started ? "started" : "running";
}

/** A greeted connection to the agent; starts or restarts the host when there is none. */
export async function openLab(
  state: LabState,
): Promise<{ connection: Connection; started: boolean }> {
  if (runningPid(state) !== undefined && existsSync(state.ready)) {
    try {
      return { connection: await greet(state, quickHelloTimeoutMs), started: false };
    } catch {
      // slow or lost: found out below, by one process at a time
    }
  }
  return withLock(state.lock, 3 * bootTimeoutMs, () => reviveLab(state));
}

async function reviveLab(state: LabState): Promise<{ connection: Connection; started: boolean }> {
  if (runningPid(state) !== undefined && existsSync(state.ready)) {
    try {
      return { connection: await greet(state, helloTimeoutMs), started: false };
    } catch (error) {
      process.stderr.write(`lab: the host does not answer, starting it again (${String(error)})\n`);
    }
  }
  await stopLab(state);
  await startLab(state);
  return { connection: await greet(state, helloTimeoutMs), started: true };
}

function greet(state: LabState, timeoutMs: number): Promise<Connection> {
  const { port } = JSON.parse(readFileSync(state.address, "utf8")) as { port: number };
  return connect(port, readFileSync(state.token, "utf8"), timeoutMs);
}

async function startLab(state: LabState): Promise<void> {
  const images = await hostImages();
  for (const file of [state.ready, state.address]) rmSync(file, { force: true });
  if (existsSync(state.consoleLog)) renameSync(state.consoleLog, `${state.consoleLog}.previous`);
  writeFileSync(state.token, randomBytes(24).toString("hex"), { mode: 0o600 });
  const port = freePort();
  const result = await tryCommand(qemuCommand(state, images, port), { timeoutMs: 30_000 });
  if (result.code !== 0) throw new LabError(`QEMU did not start: ${result.stderr.trim()}`);
  writeFileSync(state.address, JSON.stringify({ port }));
  const deadline = Date.now() + bootTimeoutMs;
  while (!existsSync(state.ready)) {
    const lost = runningPid(state) === undefined;
    if (lost || Date.now() > deadline) {
      await stopLab(state);
      const what = lost ? "ended while it booted" : `was not up after ${bootTimeoutMs / 1000} s`;
      throw new LabError(`the host ${what}; its last words: ${lastWords(state)}`);
    }
    await Bun.sleep(25);
  }
}

function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

function lastWords(state: LabState): string {
  if (!existsSync(state.consoleLog)) return "none";
  return readFileSync(state.consoleLog, "utf8").trim().split("\n").slice(-5).join(" | ");
}

/** Ends the host of the lab; nothing of it is left running. */
export async function labDown(state = labState()): Promise<void> {
  await withLock(state.lock, 3 * bootTimeoutMs, () => stopLab(state));
}

async function stopLab(state: LabState): Promise<void> {
  const pid = runningPid(state);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const killAt = Date.now() + 5_000;
    while (runningPid(state) !== undefined) {
      if (Date.now() > killAt) process.kill(pid, "SIGKILL");
      await Bun.sleep(10);
    }
  }
  const written = writtenPid(state);
  const waitUntil = Date.now() + endTimeoutMs;
  while (written !== undefined && isEnding(written) && Date.now() < waitUntil) await Bun.sleep(10);
  for (const file of [state.ready, state.address, state.pidFile]) rmSync(file, { force: true });
}
