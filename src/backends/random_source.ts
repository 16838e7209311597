// The host side of virtio-rng: opens the character device that random bytes come from.

import { closeSync, constants, fstatSync } from "node:fs";
import { UserError } from "../errors.ts";
import type { RandomSourceConfig } from "../options/config.ts";
import { openForUser } from "./file.ts";

export interface RandomSource {
  /** Never blocks a reader. */
  readonly fd: number;
  close(): void;
}

/** Opens the device of an -object rng-random. */
export function openRandomSource({ id, filename }: RandomSourceConfig): RandomSource {
  const fd = openForUser(filename, {
    what: `The device of random source '${id}'`,
    option: "-object rng-random",
    // A terminal must not become ours by being opened.
    flags: constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
  });
  if (fstatSync(fd).isCharacterDevice()) return { fd, close: () => closeSync(fd) };
  closeSync(fd);
  throw new UserError(
    `The file '${filename}' of random source '${id}' is no character device; ` +
      "use one like /dev/urandom.",
  );
}
