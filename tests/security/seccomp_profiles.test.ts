// What the compiled filters decide, on both architectures, without a kernel.

import { describe, expect, test } from "bun:test";
import { AUDIT_ARCHITECTURE, assemble, encodeProgram } from "../../scripts/seccomp/assemble.ts";
import { CALL_COUNT_TARGET, checkSeccomp } from "../../scripts/seccomp/compile.ts";
import { constantValue } from "../../scripts/seccomp/constants.ts";
import {
  ARCHITECTURES,
  allowedCount,
  everyProfile,
  profileName,
  readProfile,
} from "../../scripts/seccomp/profile.ts";
import { SYSTEM_CALL_NAMES, systemCallNumber } from "../../scripts/seccomp/system_calls.ts";
import { filterPrograms } from "../../src/host/seccomp.ts";
import {
  acceptedArguments,
  decide,
  decider,
  decisionAskedFor,
  processorName,
} from "./seccomp_interpreter.ts";

const profiles = everyProfile().map((key) => ({ ...key, name: profileName(key) }));

test("the generated file is what the profiles say", async () => {
  await checkSeccomp();
});

test("the program of this processor is the compiled one", async () => {
  const architecture = processorName();
  const rules = await readProfile({ architecture, kind: "vcpu", variant: "development" });
  expect(filterPrograms().vcpu).toEqual(encodeProgram(assemble(rules, architecture)));
});

test.each(profiles)("$architecture $name ($variant) does what each rule says", async (key) => {
  const rules = await readProfile(key);
  const program = assemble(rules, key.architecture);
  const decisions = rules.map((rule) =>
    decide(program, {
      auditArchitecture: AUDIT_ARCHITECTURE[key.architecture],
      number: rule.number,
      arguments: acceptedArguments(rule.conditions),
    }),
  );
  expect(decisions).toEqual(rules.map(decisionAskedFor));
});

test.each(profiles)("$architecture $name ($variant) traps every other number", async (key) => {
  const rules = await readProfile(key);
  const program = assemble(rules, key.architecture);
  const known = new Set(rules.map((rule) => rule.number));
  const others = Array.from({ length: 600 }, (_, number) => number).filter((n) => !known.has(n));
  const auditArchitecture = AUDIT_ARCHITECTURE[key.architecture];
  const decisions = others.map((number) => decide(program, { auditArchitecture, number }));
  expect(new Set(decisions)).toEqual(new Set(["trap"]));
});

test.each(profiles)("$architecture $name ($variant) knows only its own calls", async (key) => {
  const rules = await readProfile(key);
  const program = assemble(rules, key.architecture);
  const write = systemCallNumber("write", key.architecture) ?? Number.NaN;
  const native = AUDIT_ARCHITECTURE[key.architecture];
  const i386 = 0x4000_0003;
  expect(decide(program, { auditArchitecture: native, number: write })).toBe("allow");
  expect(decide(program, { auditArchitecture: i386, number: write })).toBe("trap");
  expect(decide(program, { auditArchitecture: native, number: write + 0x4000_0000 })).toBe("trap");
});

const shipped = profiles.filter(({ variant }) => variant === "static");
const alone = shipped.filter(({ backEnds }) => backEnds === undefined);

test.each(alone)("$architecture $kind allows few enough calls", async (key) => {
  const count = allowedCount(await readProfile(key));
  expect(count).toBeLessThanOrEqual(CALL_COUNT_TARGET[key.kind]);
});

test.each(shipped)("every unusual rule of $architecture $name has its reason", async (key) => {
  const rules = await readProfile(key);
  const usual = ["write", "read", "futex", "rt_sigreturn", "exit", "ioctl", "epoll_pwait"];
  const unexplained = rules.filter(({ reason }) => reason === undefined).map((r) => r.syscall);
  const plain = ["epoll_ctl", "fdatasync", "sched_yield", "getrandom", "epoll_pwait2", "recvfrom"];
  expect(unexplained.filter((name) => ![...usual, ...plain].includes(name))).toEqual([]);
});

describe.each(ARCHITECTURES.map((name) => [name] as const))("on %s", (architecture) => {
  test("a vCPU thread may run its vCPU and no other command", async () => {
    const call = await decider("vcpu", architecture);
    expect(call("ioctl", 9, "KVM_RUN")).toBe("allow");
    expect(call("ioctl", 9, "KVM_SET_USER_MEMORY_REGION")).toBe("trap");
    expect(call("ioctl", 9, "TIOCGWINSZ")).toBe("trap");
  });

  test("a vCPU thread may neither read nor open nor map", async () => {
    const call = await decider("vcpu", architecture);
    const names = ["read", "openat", "mmap", "mprotect", "clone", "socket", "execve", "ptrace"];
    expect(names.map((name) => call(name))).toEqual(names.map(() => "trap" as const));
  });

  test("an iothread may move data and make nothing new", async () => {
    const call = await decider("iothread", architecture);
    const moves = ["read", "preadv2", "pwritev2", "fdatasync", "io_uring_enter", "io_submit"];
    const makes = ["openat", "socket", "connect", "clone", "mmap", "io_uring_setup", "execve"];
    expect(moves.map((name) => call(name))).toEqual(moves.map(() => "allow" as const));
    expect(makes.map((name) => call(name))).toEqual(makes.map(() => "trap" as const));
  });

  test("an iothread hands queues to the kernel's vhost, and a vCPU does not", async () => {
    const [loop, vcpu] = [
      await decider("iothread", architecture),
      await decider("vcpu", architecture),
    ];
    const served = ["VHOST_SET_MEM_TABLE", "VHOST_NET_SET_BACKEND", "VHOST_VSOCK_SET_RUNNING"];
    expect(served.map((name) => loop("ioctl", 9, name))).toEqual(
      served.map(() => "allow" as const),
    );
    expect(served.map((name) => vcpu("ioctl", 9, name))).toEqual(served.map(() => "trap" as const));
    expect(loop("ioctl", 9, "VHOST_SET_OWNER")).toBe("trap");
  });

  test("no thread makes memory executable", async () => {
    const call = await decider("main", architecture);
    expect(call("mmap", 0, 4096, "PROT_WRITE")).toBe("allow");
    expect(call("mmap", 0, 4096, "PROT_WRITE|PROT_EXEC")).toBe("trap");
    expect(call("mmap", 0, 4096, "PROT_EXEC")).toBe("trap");
    expect(call("mprotect", 0, 4096, "PROT_WRITE")).toBe("allow");
    expect(call("mprotect", 0, 4096, "PROT_EXEC")).toBe("trap");
  });

  test("the main thread makes threads and no processes or namespaces", async () => {
    const call = await decider("main", architecture);
    const newUserNamespace = 0x1000_0000;
    const thread = constantValue("CLONE_THREAD|CLONE_VM") ?? 0;
    expect(call("clone", thread)).toBe("allow");
    expect(call("clone", 17)).toBe("trap");
    expect(call("clone", thread + newUserNamespace)).toBe("trap");
    expect(call("execve")).toBe("trap");
  });

  test("the main thread uses futexes, advice and locks in the known ways only", async () => {
    const call = await decider("main", architecture);
    const hardwarePoison = 100;
    expect(call("futex", 0, "FUTEX_WAIT_PRIVATE")).toBe("allow");
    expect(call("futex", 0, "FUTEX_REQUEUE_PRIVATE")).toBe("trap");
    expect(call("madvise", 0, 4096, "MADV_DONTNEED")).toBe("allow");
    expect(call("madvise", 0, 4096, hardwarePoison)).toBe("trap");
    expect(call("fcntl", 3, "F_OFD_SETLK")).toBe("allow");
    expect(call("fcntl", 3, "F_SETFL")).toBe("allow");
    expect(call("fcntl", 3, "F_SETLK")).toBe("trap");
    expect(call("seccomp", "SECCOMP_SET_MODE_FILTER", 0)).toBe("allow");
    expect(call("seccomp", "SECCOMP_SET_MODE_FILTER", 1)).toBe("trap");
  });

  test("a refused call that has a substitute gets its error", async () => {
    const call = await decider("main", architecture);
    expect(call("mremap")).toBe("errno 12");
    expect(call("brk")).toBe("errno 0");
  });
});

test("whatever the core's threads may do, the process may", async () => {
  const keys = ARCHITECTURES.map((architecture) => ({ architecture, variant: "static" }) as const);
  for (const key of keys) {
    const whole = await readProfile({ ...key, kind: "main" });
    const parts = [
      ...(await readProfile({ ...key, kind: "vcpu" })),
      ...(await readProfile({ ...key, kind: "iothread" })),
    ];
    expect(whole).toEqual(expect.arrayContaining(parts));
  }
});

test("only a machine with back ends makes sockets, and only unix ones", async () => {
  for (const kind of ["main", "iothread"] as const) {
    const usual = await decider(kind, "x86_64");
    const call = await decider(kind, "x86_64", "with back ends");
    expect(usual("socket", "AF_UNIX")).toBe("trap");
    expect(call("socket", "AF_UNIX")).toBe("allow");
    expect(call("socket", 2)).toBe("trap");
    expect(call("connect")).toBe("allow");
    expect(call("bind")).toBe("trap");
  }
});

test("call numbers agree with the compiler's tables", async () => {
  const folder = await zigTables();
  for (const [architecture, name] of [
    ["x86_64", "X64"],
    ["aarch64", "Arm64"],
  ] as const) {
    const table = numbersIn(await Bun.file(folder).text(), name);
    const ours = SYSTEM_CALL_NAMES.map((call) => [call, systemCallNumber(call, architecture)]);
    const theirs = SYSTEM_CALL_NAMES.map((call) => [
      call,
      table.get(call) ?? table.get(otherName(call)),
    ]);
    expect(ours).toEqual(theirs);
  }
});

async function zigTables(): Promise<string> {
  const { zigCommand } = await import("../../scripts/lib/zig.ts");
  const { runForText } = await import("../../scripts/lib/command.ts");
  const text = await runForText([...zigCommand(), "env"]);
  const library = /lib_dir\s*=\s*"([^"]+)"/.exec(text)?.[1] ?? "";
  return `${library}/std/os/linux/syscalls.zig`;
}

function numbersIn(text: string, name: string): Map<string, number> {
  const body = text.split(`pub const ${name} = enum(usize) {`)[1]?.split("\n};")[0] ?? "";
  const lines = [...body.matchAll(/^\s+@?"?(\w+)"? = (\d+),/gm)];
  return new Map(lines.map((match) => [match[1] ?? "", Number(match[2])]));
}

/** The compiler's tables take this one's name from either of two kernel sources. */
function otherName(call: string): string {
  return call.replace("newfstatat", "fstatat64");
}
