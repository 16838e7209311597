// The host side of a character device: opens what the user named and gives the descriptors to Zig.

import { closeSync, constants, existsSync, openSync } from "node:fs";
import type { Core, NewChardev } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { preparePty, setTerminalRaw, watchPty } from "../core/host_calls.ts";
import { UserError } from "../errors.ts";
import { openWithoutBlocking } from "../files.ts";
import type { ChardevConfig } from "../options/config.ts";
import { openSocket } from "./chardev_socket.ts";
import { openForUser } from "./file.ts";

export interface Chardev {
  readonly id: string;
  /** Its number in the core. */
  readonly index: number;
  /** What it is, for a sentence: "the file '/run/log'". */
  readonly what: string;
  /** The path to open of a pseudo terminal. */
  readonly ptyPath?: string;
  /** A file that was not there before. */
  readonly newPath?: string;
  /** Whether the guest starts only when a client has come. */
  readonly waits?: boolean;
  /** Closes what the host opened and removes a socket; after the core is gone. */
  close(): void;
}

const STDIN = 0;
const STDOUT = 1;

export function openChardev(core: Core, config: ChardevConfig): Chardev {
  switch (config.backend) {
    case "stdio":
      return openStdio(core, config.id);
    case "file":
      return openFile(core, config.id, config.path);
    case "pty":
      return openPty(core, config.id);
    case "socket":
      return openSocket(core, config);
  }
}

function attach(core: Core, id: string, what: string, parts: NewChardev) {
  return { id, what, index: core.createChardev(parts) };
}

function openStdio(core: Core, id: string): Chardev {
  const isTerminal = process.stdin.isTTY === true;
  if (isTerminal) setTerminalRaw(core, STDIN);
  const input = openWithoutBlocking(STDIN, constants.O_RDONLY);
  const output = openWithoutBlocking(STDOUT, constants.O_WRONLY);
  const parts = { inputFd: input.fd, outputFd: output.fd, escape: isTerminal ? 1 : 0 };
  const close = (): void => {
    input.close();
    output.close();
  };
  return { ...attach(core, id, "standard output", parts), close };
}

/** A pipe or a terminal with this path must not stop the machine. */
const OUTPUT_FLAGS =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_TRUNC |
  constants.O_NONBLOCK |
  constants.O_NOCTTY;

function openFile(core: Core, id: string, path: string): Chardev {
  const made = existsSync(path) ? {} : { newPath: path };
  const fd = openForUser(path, {
    what: "The output file",
    option: `chardev '${id}'`,
    flags: OUTPUT_FLAGS,
  });
  const attached = attach(core, id, `the file '${path}'`, { outputFd: fd });
  return { ...attached, ...made, close: () => closeSync(fd) };
}

function openPty(core: Core, id: string): Chardev {
  const fd = openForUser("/dev/ptmx", {
    what: "The pseudo terminal",
    option: `chardev '${id}'`,
    flags: constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK,
  });
  const number = preparePty(core, fd);
  const ptyPath = `/dev/pts/${number}`;
  const peerFd = watchOtherEnd(core, id, number);
  // Only an end that was open once counts as hung up when it is closed.
  closeSync(openSync(ptyPath, constants.O_RDWR | constants.O_NOCTTY));
  const parts = { inputFd: fd, outputFd: fd, peerFd };
  const close = (): void => {
    closeSync(fd);
    closeSync(peerFd);
  };
  return { ...attach(core, id, `the pseudo terminal '${ptyPath}'`, parts), ptyPath, close };
}

function watchOtherEnd(core: Core, id: string, number: number): number {
  try {
    return watchPty(core, number);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new UserError(
      `The pseudo terminal of chardev '${id}' cannot be watched (${errnoText(error.errno)}); ` +
        "raise fs.inotify.max_user_instances or use a socket.",
    );
  }
}
