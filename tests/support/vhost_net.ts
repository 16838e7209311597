// virtio-net whose frames the kernel moves: on a tap in a network namespace of the test's own.

import { openTap } from "../../src/backends/tap.ts";
import { openVhostNet } from "../../src/backends/vhost.ts";
import { CONSTANTS } from "../../src/core/abi.gen.ts";
import type { NewDevice } from "../../src/core/core.ts";
import { descriptorBytes } from "../../src/devices/virtio/net.ts";
import { BusMachine } from "./bus_machine.ts";
import type { FrameSocket } from "./datagrams.ts";
import { MmioTransport } from "./mmio_transport.ts";
import {
  describeNet,
  frameTo,
  NetDriver,
  type NetOptions,
  OWN_MAC,
  SEND,
  withHeader,
} from "./net_driver.ts";
import { TestNetwork } from "./network.ts";
import type { VirtioModel } from "./virtio_model.ts";

const NAME = "tap0";
/** An EtherType for local experiments. */
const EXPERIMENT = 0x88b5;

interface VhostNet {
  readonly description: NewDevice;
  /** What passes on the tap's other side. */
  readonly wire: FrameSocket;
}

/** A device on a new tap with `pairCount` queues, and the kernel's devices for them. */
function describeVhostNet(
  machine: BusMachine,
  pairCount: number,
  { etherType = EXPERIMENT, ...options }: NetOptions & { etherType?: number },
): VhostNet {
  const network = new TestNetwork(machine);
  const source = { id: "n", queues: pairCount, tap: { kind: "interface", name: NAME } } as const;
  const tap = network.inside(() => openTap(machine.core, source, pairCount));
  machine.onClose(() => tap.close());
  const vhost = openVhostNet(machine.core, { id: "n", fds: undefined, pairCount });
  machine.onClose(() => vhost.close());
  const { netOffload, netTapQueues, netVhost } = CONSTANTS;
  const description = describeNet(tap.fds, {
    flags: netOffload | netVhost | (pairCount > 1 ? netTapQueues : 0),
    vhostFds: descriptorBytes(vhost.fds),
    vhostFeatures: vhost.features,
    ...options,
  });
  return { description, wire: network.listen(NAME, etherType) };
}

export const vhostNetModel: VirtioModel = {
  name: "vhost-net",
  deviceType: 1,
  queueCount: 3,
  queueSizeMax: 64,
  workQueue: SEND,
  configSize: 12,
  spuriousInterrupts: "the kernel calls once before it looks at the event index",
  describe: (machine) => describeVhostNet(machine, 1, { queueSize: 64 }).description,
  work: ({ ram }) => [{ ...ram.place(withHeader(frameTo(OWN_MAC))), writable: false }],
};

export class VhostNetBench implements Disposable {
  readonly machine = new BusMachine();
  readonly driver: NetDriver;
  readonly wire: FrameSocket;
  readonly #pairCount: number;
  readonly #features: bigint;

  constructor(options: { pairs?: number; features?: bigint; etherType?: number } = {}) {
    const { pairs = 1, features = 0n, ...rest } = options;
    this.#pairCount = pairs;
    this.#features = features;
    const { description, wire } = describeVhostNet(this.machine, pairs, rest);
    this.wire = wire;
    const transport = new MmioTransport(this.machine, description);
    this.driver = new NetDriver(transport, this.machine.ram);
    this.start();
  }

  start(): void {
    const queueCount = 2 * this.#pairCount + 1;
    this.driver.start({ features: this.#features, queueCount });
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}
