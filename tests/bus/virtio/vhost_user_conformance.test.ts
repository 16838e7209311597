// The conformance suite over a disk that Debian's qemu-storage-daemon serves: what is the machine's
// own in it, not its back end's. Two daemons serve device after device, for a case may have two.

import { afterAll, beforeAll, describe } from "bun:test";
import { writeFileSync } from "node:fs";
import { ModelKind, VhostUserKind } from "../../../src/core/abi.gen.ts";
import { encodeVhostUser } from "../../../src/devices/virtio/vhost_user.ts";
import { BackEnd, whyNo } from "../../support/back_end.ts";
import { BLK_REQUEST, BlkDriver } from "../../support/blk_driver.ts";
import { MmioTransport } from "../../support/mmio_transport.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import type { VirtioModel } from "../../support/virtio_model.ts";
import type { TransportKind } from "../../support/virtio_transport.ts";
import {
  featureCases,
  identificationCases,
  indirectCases,
  queueCases,
  statusCases,
} from "./conformance.case.ts";
import { resetCases } from "./reset.case.ts";

const DAEMON = "qemu-storage-daemon";
const READ_SIZE = 4096;
const folder = new TemporaryFolder();
const daemons = ["a", "b"].map((name) => {
  const [image, socket] = [folder.file(`${name}.img`), folder.file(`${name}.sock`)];
  writeFileSync(image, new Uint8Array(2 ** 20));
  const place = `addr.type=unix,addr.path=${socket}`;
  return new BackEnd(socket, [
    ...[DAEMON, "--blockdev", `driver=file,node-name=disk,filename=${image}`],
    ...["--export", `type=vhost-user-blk,id=e,node-name=disk,writable=on,num-queues=2,${place}`],
  ]);
});

/** The device parameters with the daemon whose turn it is. */
function nextDisk(): Uint8Array {
  const daemon = daemons.shift();
  if (daemon === undefined) throw new Error("there is no daemon");
  daemons.push(daemon);
  const words = { kind: VhostUserKind.blk, queueCount: 2, queueSize: 64 };
  return encodeVhostUser(daemon.socket, words);
}

const model: VirtioModel = {
  name: "vhost-user-blk",
  deviceType: 2,
  queueCount: 2,
  queueSizeMax: 64,
  workQueue: 0,
  configSize: 60,
  memory: "shared",
  spuriousInterrupts: "the daemon has its own mind",
  describe: () => ({ model: ModelKind.vhostUser, gsi: 5, details: nextDisk() }),
  work: ({ transport, ram }) => {
    const input = [ram.allocate(READ_SIZE)];
    return new BlkDriver(transport, ram).prepare({ type: BLK_REQUEST.read, input }).parts;
  },
};

const mmio: TransportKind = {
  name: "mmio",
  attach: (machine, device) => new MmioTransport(machine, device),
};

describe.skipIf(whyNo(DAEMON, "any user") !== undefined)("vhost-user-blk over mmio", () => {
  beforeAll(async () => {
    for (const daemon of daemons) await daemon.start();
  });

  afterAll(async () => {
    for (const daemon of daemons) await daemon.kill();
    folder[Symbol.dispose]();
  });

  describe.each(
    Object.entries({
      identification: identificationCases,
      features: featureCases,
      status: statusCases,
      queues: queueCases,
      "indirect tables": indirectCases,
      reset: resetCases,
    }),
  )("%s", (_, cases) => cases(model, mmio));
});
