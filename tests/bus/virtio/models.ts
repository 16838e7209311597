// Every virtio model and transport of the build, for the conformance suite: a new one is one line.

import { balloonModel } from "../../support/balloon_bench.ts";
import { blkModel } from "../../support/blk_model.ts";
import { consoleModel } from "../../support/console_bench.ts";
import { MmioTransport } from "../../support/mmio_transport.ts";
import { netModel } from "../../support/net_model.ts";
import { rngModel } from "../../support/rng_bench.ts";
import type { VirtioModel } from "../../support/virtio_model.ts";
import type { TransportKind } from "../../support/virtio_transport.ts";

export const MODELS: readonly VirtioModel[] = [
  blkModel,
  netModel,
  rngModel,
  balloonModel,
  consoleModel,
];

export const TRANSPORTS: readonly TransportKind[] = [
  { name: "mmio", attach: (machine, description) => new MmioTransport(machine, description) },
];
