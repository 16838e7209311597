// A serial port on its own machine, behind any back end; and its registers as a guest
// driver uses them (PC16550D).

import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { openChardev } from "../../src/backends/chardev.ts";
import { ChardevInfoLayout, CONSTANTS, ModelKind } from "../../src/core/abi.gen.ts";
import type { DeviceId } from "../../src/core/core.ts";
import type { StructValue } from "../../src/core/struct.ts";
import type { ChardevConfig } from "../../src/options/config.ts";
import { BusMachine } from "./bus_machine.ts";
import { processorTimeMs } from "./process_facts.ts";
import { TemporaryFolder } from "./temporary_folder.ts";
import { until } from "./until.ts";

const BASE = 0x3f8;
const PORT_COUNT = 7;

export const UART = {
  data: 0,
  interruptEnable: 1,
  interruptIdentity: 2,
  fifoControl: 2,
  lineControl: 3,
  modemControl: 4,
  lineStatus: 5,
  modemStatus: 6,
} as const;

const LINE_STATUS = { dataReady: 0x01, empty: 0x60 } as const;

type Backend = "none" | "file" | "socket" | "pty" | Tcp | Connection | FileAt | InputFile;

interface Tcp {
  readonly host: string;
  readonly port: number;
}

/** A path to connect to. */
interface Connection {
  readonly connectTo: string;
}

/** A file that is not the bench's own. */
interface FileAt {
  readonly path: string;
}

/** Standard input that comes from a file, or with escapes as from a terminal. */
interface InputFile {
  readonly input: string;
  readonly escape?: 0 | 1;
}

const SERVER = {
  id: "c",
  backend: "socket",
  server: true,
  nowait: true,
  path: undefined,
  host: undefined,
  port: undefined,
} as const;

export class SerialBench implements Disposable {
  readonly folder = new TemporaryFolder();
  readonly machine = new BusMachine();
  readonly outputPath = this.folder.file("serial.out");
  readonly socketPath = this.folder.file("serial.sock");
  readonly device: DeviceId;
  /** The back end's number in the core. */
  readonly chardev: number;
  #ptyPath = "";

  constructor(backend: Backend) {
    const chardev = this.#open(backend);
    this.chardev = chardev;
    this.device = this.machine.core.createDevice({ model: ModelKind.serial, gsi: 4, chardev });
    this.machine.addPorts(this.device, BASE, PORT_COUNT);
  }

  /** Returns the number of the back end in the core. */
  #open(backend: Backend): number {
    switch (backend) {
      case "none":
        return CONSTANTS.noChardev;
      case "file":
        return this.#openConfigured({ id: "c", backend: "file", path: this.outputPath });
      case "pty":
        return this.#openConfigured({ id: "c", backend: "pty" });
      case "socket": {
        return this.#openConfigured({ ...SERVER, path: this.socketPath });
      }
      default:
        return this.#openOther(backend);
    }
  }

  #openOther(backend: Tcp | Connection | FileAt | InputFile): number {
    if ("host" in backend) return this.#openConfigured({ ...SERVER, ...backend });
    if ("path" in backend) return this.#openConfigured({ id: "c", backend: "file", ...backend });
    if ("input" in backend) return this.#openInput(backend);
    const path = backend.connectTo;
    return this.#openConfigured({ ...SERVER, server: false, nowait: false, path });
  }

  #openConfigured(config: ChardevConfig): number {
    const chardev = openChardev(this.machine.core, config);
    this.machine.onClose(() => chardev.close());
    this.#ptyPath = chardev.ptyPath ?? "";
    return chardev.index;
  }

  #openInput(file: InputFile): number {
    const path = this.folder.file("serial.in");
    writeFileSync(path, file.input);
    const inputFd = openSync(path, "r");
    this.machine.onClose(() => closeSync(inputFd));
    return this.machine.core.createChardev({
      inputFd,
      escape: file.escape ?? 0,
    });
  }

  get ptyPath(): string {
    return this.#ptyPath;
  }

  read(register: number): number {
    return this.machine.readPort(BASE + register);
  }

  write(register: number, value: number): void {
    this.machine.writePort(BASE + register, value);
  }

  /** What the core says of the back end. */
  get news(): StructValue<typeof ChardevInfoLayout> {
    return this.machine.core.read("chardev_info", this.chardev, ChardevInfoLayout);
  }

  get hasInput(): boolean {
    return (this.read(UART.lineStatus) & LINE_STATUS.dataReady) !== 0;
  }

  get canTransmit(): boolean {
    return (this.read(UART.lineStatus) & LINE_STATUS.empty) === LINE_STATUS.empty;
  }

  get interruptCount(): number {
    return this.machine.core.deviceInfo(this.device).interruptCount;
  }

  /** As a polite driver does: only while the port says that it has room. Returns what was sent. */
  transmit(text: string): string {
    for (let index = 0; index < text.length; index += 1) {
      if (!this.canTransmit) return text.slice(0, index);
      this.write(UART.data, text.charCodeAt(index));
    }
    return text;
  }

  /** All input that is there now. */
  receive(): string {
    let text = "";
    while (this.hasInput) text += String.fromCharCode(this.read(UART.data));
    return text;
  }

  /** Which part of 100 ms the machine's thread does not run. */
  async idleShare(): Promise<number> {
    await until("the thread", () => this.machine.core.threadId(0) !== 0);
    const thread = this.machine.core.threadId(0);
    const before = processorTimeMs(thread);
    const end = performance.now() + 100;
    await until("100 ms", () => performance.now() > end);
    return 1 - (processorTimeMs(thread) - before) / 100;
  }

  get output(): string {
    return readFileSync(this.outputPath, "latin1");
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}
