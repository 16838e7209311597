// A vhost-user device on a machine of its own, with the process that serves it.

import { ModelKind } from "../../src/core/abi.gen.ts";
import { type DeviceWords, encodeVhostUser } from "../../src/devices/virtio/vhost_user.ts";
import { BackEnd } from "./back_end.ts";
import { BusMachine } from "./bus_machine.ts";
import { MmioTransport } from "./mmio_transport.ts";
import { TemporaryFolder } from "./temporary_folder.ts";

/** The command of a back end that listens at `socket` and has a folder for its files. */
export type Command = (socket: string, folder: TemporaryFolder) => readonly string[];

export class VhostUserBench implements AsyncDisposable {
  readonly folder = new TemporaryFolder();
  readonly machine = new BusMachine("shared");
  readonly backEnd: BackEnd;

  private constructor(command: Command) {
    const socket = this.folder.file("back_end.sock");
    this.backEnd = new BackEnd(socket, command(socket, this.folder));
  }

  /** A machine without its device, whose back end listens. */
  static async start(command: Command): Promise<VhostUserBench> {
    const bench = new VhostUserBench(command);
    try {
      await bench.backEnd.start();
      return bench;
    } catch (error) {
      await bench[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes the device, which meets the back end. */
  attach(words: DeviceWords): MmioTransport {
    const details = encodeVhostUser(this.backEnd.socket, words);
    return new MmioTransport(this.machine, { model: ModelKind.vhostUser, gsi: 5, details });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.machine[Symbol.dispose]();
    await this.backEnd.kill();
    this.folder[Symbol.dispose]();
  }
}
