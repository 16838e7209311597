// -object: things that devices and memory nodes refer to by id.

import type { Keys, OptionSchema, Variants } from "../schema.ts";
import { boolean, choice, id, numberList, path, size, text } from "../schema.ts";

const objectId = { type: id, help: "name to refer to it", required: true } as const;

const backendSize = size(1, 512 * 1024 ** 3);

const memoryBackendKeys = {
  id: objectId,
  size: { type: backendSize, help: "bytes, MiB without unit", required: true },
  "host-nodes": { type: numberList, help: "memory nodes of the host" },
  policy: {
    type: choice("default", "preferred", "bind", "interleave"),
    help: "how host nodes are used",
    default: "default",
  },
  share: { type: boolean, help: "shared with other processes; on for file and memfd" },
  "dump-guest-core": { type: boolean, help: "part of core dumps", default: true },
  prealloc: {
    type: boolean,
    help: "touch it before the start; as -mem-prealloc if not given",
    aliases: ["mem-prealloc"],
  },
} as const satisfies Keys;

export const objectVariants = {
  iothread: { help: "a thread for devices", keys: { id: objectId } },
  "rng-random": {
    help: "a source of random bytes",
    keys: { id: objectId, filename: { type: path, help: "character device", required: true } },
  },
  "memory-backend-ram": {
    help: "anonymous memory",
    keys: memoryBackendKeys,
  },
  "memory-backend-file": {
    help: "memory from a file or a hugetlbfs directory",
    keys: {
      ...memoryBackendKeys,
      "mem-path": { type: path, help: "the file or directory", required: true },
    },
  },
  "memory-backend-memfd": {
    help: "memory from a memfd",
    keys: memoryBackendKeys,
  },
  "tls-creds-x509": {
    help: "certificates for VNC",
    keys: {
      id: objectId,
      dir: { type: path, help: "directory of the certificates", required: true },
      "verify-peer": { type: boolean, help: "ask clients for a certificate" },
    },
    supported: false,
  },
  "authz-simple": {
    help: "a user who may log in over VNC",
    keys: { id: objectId, identity: { type: text("USER"), help: "the user", required: true } },
    supported: false,
  },
} as const satisfies Variants;

export const objectOptions: readonly OptionSchema[] = [
  {
    name: "object",
    group: "Devices",
    help: "something that devices refer to",
    repeatable: true,
    shape: "variants",
    selector: "type",
    variants: objectVariants,
  },
];
