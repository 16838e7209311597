// A whole machine without a processor, in this process: it can be saved, and made from a template.

import "./core_library.ts";
import { type Assembly, assemble } from "../../src/machine/assemble.ts";
import { Machine } from "../../src/machine/machine.ts";
import { Incoming } from "../../src/machine/snapshot/incoming.ts";
import { parseCommandLine } from "../../src/options/command_line.ts";
import type { Config } from "../../src/options/config.ts";
import type { MigrationState } from "../../src/qmp/machine_control.ts";
import { untilFound } from "./until.ts";

/** What a line has that says nothing else; the smallest memory there is. */
const DEFAULTS = [
  ["-machine", "microvm,accel=test"],
  ["-m", "128M"],
  // Nobody serves it here: a machine that is saved has it.
  ["-qmp", "unix:/nowhere/qmp,server,nowait"],
] as const;

function configOf(line: string): Config {
  const words = line.split(" ").filter((word) => word !== "");
  const more = DEFAULTS.filter(([option]) => !words.includes(option)).flat();
  const parsed = parseCommandLine([...more, ...words], "0");
  if (parsed.kind === "run") return parsed.config;
  throw new Error(`'${line}' prints instead of running`);
}

/** Opens and checks what -incoming names, and makes a machine of it, which is thrown away. */
export function tryTemplate(line: string): void {
  make(configOf(line)).resources.close();
}

function make(config: Config): Assembly {
  if (config.incoming === undefined) return assemble(config);
  const incoming = Incoming.open(config.incoming, config);
  try {
    return assemble(config, incoming);
  } finally {
    incoming.close();
  }
}

export class TemplateMachine implements Disposable {
  readonly config: Config;
  readonly assembly: Assembly;
  readonly machine: Machine;
  /** Names of the events so far. */
  readonly events: string[] = [];
  /** What went to the log. */
  readonly log: string[];

  private constructor(config: Config, assembly: Assembly, machine: Machine, log: string[]) {
    this.config = config;
    this.assembly = assembly;
    this.machine = machine;
    this.log = log;
    machine.onEvent(({ name }) => this.events.push(name));
  }

  /** A machine of these options that runs. */
  static async start(line: string): Promise<TemplateMachine> {
    const config = configOf(line);
    const assembly = make(config);
    const lines: string[] = [];
    const say = (text: string) => lines.push(text);
    const log = { error: say, warn: say, info: say, debug: say, fd: 2 };
    const machine = await Machine.create(assembly, config, {
      ...log,
      showsTrace: false,
      trace: say,
      onTurn: () => {},
      close: () => {},
    });
    machine.start();
    return new TemplateMachine(config, assembly, machine, lines);
  }

  /** Saves to `folder`; resolves to what became of it. */
  async save(folder: string): Promise<MigrationState> {
    await this.machine.migrate(folder);
    return this.saved();
  }

  /** Waits for the end of a save. */
  saved(): Promise<MigrationState> {
    return untilFound("the save's end", async () => {
      const state = this.machine.migration();
      return state.status === "active" ? undefined : state;
    });
  }

  [Symbol.dispose](): void {
    this.machine.close();
  }
}

/** Saves a machine of these options to `folder`, which is a template then. */
export async function makeTemplate(folder: string, line: string): Promise<void> {
  using machine = await TemplateMachine.start(line);
  const { status, sentence } = await machine.save(folder);
  if (status !== "completed") throw new Error(`the save has ${status}: ${sentence}`);
}
