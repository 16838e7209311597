// The options that say what the guest starts from.

import type { OptionSchema, Variants } from "../schema.ts";
import { boolean, hostAndPort, path, socketPath } from "../schema.ts";

export const incomingVariants = {
  file: {
    help: "a template that QMP's migrate has saved",
    keys: {
      path: { type: path, help: "the template's folder", positional: true, required: true },
      mapped: {
        type: boolean,
        help: "map the memory file copy-on-write instead of loading it",
        default: true,
      },
    },
  },
  unix: {
    help: "a live migration over a unix socket",
    supported: false,
    keys: { path: { type: socketPath, help: "the socket", positional: true, required: true } },
  },
  tcp: {
    help: "a live migration over tcp",
    supported: false,
    keys: { address: { type: hostAndPort, help: "IP:PORT", positional: true, required: true } },
  },
} as const satisfies Variants;

const group = "Boot";

export const bootOptions: readonly OptionSchema[] = [
  { name: "kernel", group, help: "Linux kernel image", shape: "value", type: path },
  {
    name: "append",
    group,
    help: "words of the kernel command line, joined by spaces",
    repeatable: true,
    shape: "words",
  },
  { name: "initrd", group, help: "initial RAM disk", shape: "value", type: path },
  {
    name: "incoming",
    group,
    help: "start from a template; kernel and initrd are not loaded",
    shape: "variants",
    selector: "transport",
    variants: incomingVariants,
  },
];
