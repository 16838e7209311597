// Commands in the lab behave as they would on a host: exit codes, streams, signals, several at
// once.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  labDown,
  labRun,
  labShare,
  labStart,
  labState,
  labUp,
  probeProgram,
  runningPid,
} from "../../scripts/lab/index.ts";
import { checkout } from "../../scripts/lib/paths.ts";

const timeoutMs = 30_000;
const bootMs = 300_000; // the very first time packages are downloaded and unpacked
const wasUp = runningPid(labState()) !== undefined;
const cleanUp = wasUp ? async () => {} : () => labDown();

beforeAll(async () => {
  await labUp();
}, bootMs);
afterAll(cleanUp, bootMs);

test("an exit code comes back", async () => {
  expect((await labRun(["sh", "-c", "exit 42"], { timeoutMs })).code).toBe(42);
});

test("output and errors come back apart", async () => {
  const result = await labRun(["sh", "-c", "echo out; echo err >&2"], { timeoutMs });
  expect(result).toEqual({ code: 0, stdout: "out\n", stderr: "err\n", timedOut: false });
});

test("a command that does not exist ends with 127", async () => {
  const result = await labRun(["no-such-command"], { timeoutMs });
  expect(result.code).toBe(127);
  expect(result.stderr).toBe("lab: no such command: no-such-command\n");
});

test("megabytes of standard input arrive whole", async () => {
  const bytes = new Uint8Array(3 << 20).map((_, index) => index * 7);
  const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  const result = await labRun(["sha256sum"], { stdin: bytes, timeoutMs });
  expect(result.stdout).toBe(`${digest}  -\n`);
});

test("megabytes of output arrive whole", async () => {
  const result = await labRun(["sh", "-c", "seq 1 300000"], { timeoutMs });
  expect(result.stdout.length).toBe(1_988_895);
  expect(result.stdout.endsWith("300000\n")).toBe(true);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  test(`${signal} reaches the command, also while its standard input is full`, async () => {
    const started = Promise.withResolvers<void>();
    const script = `trap 'echo got ${signal}; exit 7' ${signal.slice(3)}; echo on; sleep 60 & wait`;
    const text: string[] = [];
    const command = await labStart(["sh", "-c", script], {
      stdin: new Uint8Array(1 << 20),
      timeoutMs,
      onStdout: (bytes) => {
        text.push(new TextDecoder().decode(bytes));
        started.resolve();
      },
    });
    await started.promise;
    command.signal(signal);
    expect((await command.ended).code).toBe(7);
    expect(text.join("")).toBe(`on\ngot ${signal}\n`);
  });
}

test("a command that a signal ends gives 128 and the signal's number", async () => {
  expect((await labRun(["sh", "-c", "kill -9 $$"], { timeoutMs })).code).toBe(137);
});

test("a time limit ends a command", async () => {
  const result = await labRun(["sleep", "60"], { timeoutMs: 200 });
  expect(result.timedOut).toBe(true);
  expect(result.code).toBe(143);
});

test("sixteen commands run at once", async () => {
  const numbers = Array.from({ length: 16 }, (_, index) => String(index));
  const results = await Promise.all(
    numbers.map((number) => labRun(["echo", number], { timeoutMs })),
  );
  expect(results.map((result) => result.stdout.trim())).toEqual(numbers);
});

test("the shared folder is the same on both sides", async () => {
  const path = join(labShare, `shared-${process.pid}`);
  writeFileSync(path, "from outside");
  const script = `cat ${path}; echo from inside > ${path}`;
  const result = await labRun(["sh", "-c", script], { timeoutMs });
  expect(result.stdout).toBe("from outside");
  expect(readFileSync(path, "utf8")).toBe("from inside\n");
  rmSync(path);
});

test("what is written outside the shared folders stays in the lab", async () => {
  const path = `/var/tmp/lab-${process.pid}`;
  const result = await labRun(["sh", "-c", `echo x > ${path} && cat ${path}`], { timeoutMs });
  expect(result.stdout).toBe("x\n");
  expect(existsSync(path)).toBe(false);
});

test("the lab's own KVM can run Linux", async () => {
  expect((await labRun([await probeProgram()], { timeoutMs })).stdout).toBe("yes\n");
});

test("a command takes less than a second", async () => {
  await labRun(["true"], { timeoutMs });
  const startedAt = performance.now();
  const command = ["bun", join(checkout, "scripts/lab/lab.ts"), "run", "--", "true"];
  expect(await Bun.spawn(command, { stdin: "ignore" }).exited).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

test("a terminal is a terminal", async () => {
  const result = await labRun(["sh", "-c", "stty size < /dev/tty"], {
    terminal: { rows: 31, columns: 97 },
    timeoutMs,
  });
  expect(result.stdout).toBe("31 97\r\n");
});

test("a failure of the lab's own command line ends with 125", async () => {
  const command = ["bun", join(checkout, "scripts/lab/lab.ts"), "run", "--frob", "--", "true"];
  const wrong = Bun.spawn(command, { stderr: "pipe" });
  expect(await wrong.exited).toBe(125);
  expect(await new Response(wrong.stderr).text()).toContain('unknown option "--frob"');
});
