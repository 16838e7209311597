// virtio-net for the conformance suite: it sends into a socket that takes everything.

import { openFrameSink } from "./datagrams.ts";
import { describeNet, frameTo, OWN_MAC, SEND, withHeader } from "./net_driver.ts";
import type { VirtioModel } from "./virtio_model.ts";

export const netModel: VirtioModel = {
  name: "virtio-net",
  deviceType: 1,
  queueCount: 3,
  queueSizeMax: 64,
  workQueue: SEND,
  configSize: 12,
  describe: (machine) => describeNet([openFrameSink(machine)], { queueSize: 64 }),
  work: ({ ram }) => [{ ...ram.place(withHeader(frameTo(OWN_MAC))), writable: false }],
};
