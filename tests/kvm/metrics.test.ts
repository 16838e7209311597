// The Prometheus endpoint of a confined machine, read by curl's peers and by the parser of
// Prometheus' own client library.

import { expect, test } from "bun:test";
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasKvm } from "../support/kvm.ts";
import { PayloadProgram } from "../support/payload_program.ts";
import { hasPythonPackage, pythonEnvironment } from "../support/python_package.ts";
import { until } from "../support/until.ts";
import { forever, payload, print, x86 } from "../support/x86.ts";

const PRINTED = "0123456789";
/** Ports outside of every device count as well. */
const code = payload(print(PRINTED), forever(x86.pause));
const hasParser = hasKvm && hasPythonPackage("prometheus_client==0.26.0", "prometheus_client");

interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly (readonly [string, Readonly<Record<string, string>>, number])[];
}

interface Measured extends AsyncDisposable {
  readonly machine: PayloadProgram;
  readonly scrape: () => Promise<string>;
}

/** A machine that serves its metrics. */
async function withMetrics(): Promise<Measured> {
  const machine: PayloadProgram = new PayloadProgram(code, (folder) => {
    writeFileSync(folder.file("disk"), "");
    truncateSync(folder.file("disk"), 1024 * 1024);
    return [
      ...["-metrics", `unix:${folder.file("metrics.sock")}`],
      ...["-drive", `id=d,file=${folder.file("disk")}`],
      ...["-device", "virtio-blk-device,drive=d,id=disk0"],
      ...["-device", "virtio-balloon-device,id=balloon0"],
    ];
  });
  const unix = machine.folder.file("metrics.sock");
  const scrape = async () => (await fetch("http://localhost/metrics", { unix })).text();
  await until("the metrics' socket", () => existsSync(unix));
  return { machine, scrape, [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose]() };
}

async function parse(text: string): Promise<Readonly<Record<string, Family>>> {
  const parser = Bun.spawn(["python3", join(import.meta.dir, "foreign_parser.py")], {
    env: pythonEnvironment,
    stdin: new TextEncoder().encode(text),
    stderr: "pipe",
  });
  const complaint = await new Response(parser.stderr).text();
  expect(complaint).toBe("");
  return JSON.parse(await new Response(parser.stdout).text());
}

test.skipIf(!hasParser)("a scrape is well formed and tells what the machine did", async () => {
  await using measured = await withMetrics();
  const { machine, scrape } = measured;
  const client = await machine.connect();
  await until("the guest's text", () => machine.printed === PRINTED);
  await client.ask("query-nothing");
  const families = await parse(await scrape());
  const value = (name: string, labels: Readonly<Record<string, string>> = {}) => {
    const samples = families[name.replace(/_total$/, "")]?.samples ?? [];
    const found = samples.find((sample) => {
      return (
        sample[0] === name && Object.entries(labels).every(([key, word]) => sample[1][key] === word)
      );
    });
    return found?.[2];
  };
  expect(value("stratovirt_vcpu_exits_total", { vcpu: "0", kind: "pio" })).toBe(PRINTED.length);
  expect(value("stratovirt_vcpu_exits_total", { vcpu: "0", kind: "park" })).toBe(0);
  expect(value("stratovirt_guest_memory_bytes")).toBe(128 * 2 ** 20);
  expect(value("stratovirt_machine_state", { state: "running" })).toBe(1);
  expect(value("stratovirt_device_requests_in_flight", { device: "disk0" })).toBe(0);
  expect(value("stratovirt_device_read_bytes_total", { device: "disk0" })).toBe(0);
  expect(value("stratovirt_device_faults_total", { device: "balloon0" })).toBe(0);
  expect(value("stratovirt_device_read_bytes_total", { device: "balloon0" })).toBeUndefined();
  expect(value("stratovirt_balloon_actual_bytes")).toBe(0);
  expect(value("stratovirt_qmp_connections_total")).toBe(1);
  expect(value("stratovirt_qmp_commands_total")).toBe(2);
  expect(value("stratovirt_qmp_errors_total")).toBe(1);
  expect(value("stratovirt_boot_step_seconds", { step: "guest-started" })).toBeGreaterThan(0);
  expect(value("process_resident_memory_bytes")).toBeGreaterThan(2 ** 20);
  expect(value("process_threads")).toBeGreaterThan(2);
});

test.skipIf(!hasParser)(
  "names follow Prometheus' conventions, and counters never fall",
  async () => {
    await using measured = await withMetrics();
    const { scrape } = measured;
    const [before, after] = [await parse(await scrape()), await parse(await scrape())];
    expect(Object.keys(before)).toEqual(Object.keys(after));
    expect(
      Object.keys(before).filter((name) => !/^(stratovirt|process)_[a-z_]+$/.test(name)),
    ).toEqual([]);
    const counters = Object.entries(before).filter(([, { type }]) => type === "counter");
    expect(counters.length).toBeGreaterThan(10);
    for (const [name, { samples, help }] of counters) {
      expect(help).toEndWith(".");
      samples.forEach(([sampleName, , value], index) => {
        expect(sampleName).toBe(`${name}_total`);
        expect(after[name]?.samples[index]?.[2]).toBeGreaterThanOrEqual(value);
      });
    }
  },
);

test.skipIf(!hasKvm)("the socket goes with the machine", async () => {
  await using measured = await withMetrics();
  const { machine, scrape } = measured;
  const client = await machine.connect();
  expect(await scrape()).toContain('stratovirt_machine_state{state="running"} 1\n');
  await client.ask("quit");
  expect((await machine.program.end).code).toBe(0);
  expect(scrape()).rejects.toThrow();
});
