// The host side of a character device: opens what the user named and gives the descriptors to Zig.

import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { pathModule } from "../builtin.ts";
import type { Core } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { listen, preparePty, setTerminalRaw } from "../core/host_calls.ts";
import { UserError } from "../errors.ts";
import { removeOwnFile } from "../files.ts";
import type { ChardevConfig } from "../options/config.ts";
import { openForUser } from "./file.ts";
import { unixAddress } from "./socket_address.ts";

export interface Chardev {
  readonly id: string;
  /** Its number in the core. */
  readonly index: number;
  /** The path to open of a pseudo terminal. */
  readonly ptyPath: string | undefined;
  /** A file that was not there before. */
  readonly newPath: string | undefined;
  /** Closes what the host opened and removes a socket; after the core is gone. */
  close(): void;
}

interface Descriptors {
  readonly inputFd: number;
  readonly outputFd: number;
  readonly listenFd: number;
  readonly escape: number;
}

const NONE: Descriptors = { inputFd: -1, outputFd: -1, listenFd: -1, escape: 0 };
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

function attach(core: Core, id: string, descriptors: Descriptors, close: () => void): Chardev {
  const index = core.createChardev(descriptors);
  return { id, index, ptyPath: undefined, newPath: undefined, close };
}

function openStdio(core: Core, id: string): Chardev {
  const isTerminal = process.stdin.isTTY === true;
  if (isTerminal) setTerminalRaw(core, STDIN);
  const descriptors = { ...NONE, inputFd: STDIN, outputFd: STDOUT, escape: isTerminal ? 1 : 0 };
  return attach(core, id, descriptors, () => {});
}

function openFile(core: Core, id: string, path: string): Chardev {
  const newPath = existsSync(path) ? undefined : path;
  const fd = openForUser(path, {
    what: "The output file",
    option: `chardev '${id}'`,
    flags: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  });
  return { ...attach(core, id, { ...NONE, outputFd: fd }, () => closeSync(fd)), newPath };
}

function openPty(core: Core, id: string): Chardev {
  const fd = openForUser("/dev/ptmx", {
    what: "The pseudo terminal",
    option: `chardev '${id}'`,
    flags: constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK,
  });
  const ptyPath = `/dev/pts/${preparePty(core, fd)}`;
  // The other end stays open, so that a reader who leaves is no hang-up.
  const otherEnd = openSync(ptyPath, constants.O_RDWR | constants.O_NOCTTY);
  const descriptors = { ...NONE, inputFd: fd, outputFd: fd };
  const close = (): void => {
    closeSync(fd);
    closeSync(otherEnd);
  };
  return { ...attach(core, id, descriptors, close), ptyPath };
}

type SocketConfig = Extract<ChardevConfig, { backend: "socket" }>;

function openSocket(core: Core, config: SocketConfig): Chardev {
  const { id, path } = config;
  if (!config.server) {
    throw new UserError(
      `Chardev '${id}' is a socket without 'server'; a console needs one that listens.`,
    );
  }
  if (path === undefined) {
    throw new UserError(`Chardev '${id}' is a socket without a path; add path=PATH.`);
  }
  removeStaleSocket(path, id);
  const fd = listenAt(core, path, id);
  return attach(core, id, { ...NONE, listenFd: fd }, () => {
    closeSync(fd);
    removeOwnFile(path);
  });
}

function listenAt(core: Core, path: string, id: string): number {
  try {
    return listen(core, unixAddress(path));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new UserError(
      `Chardev '${id}' cannot listen on '${path}' (${errnoText(error.errno)}); ` +
        "choose another place.",
    );
  }
}

/** A socket that a dead machine left is in the way; anything else there is the user's. */
function removeStaleSocket(path: string, id: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket()) {
    throw new UserError(
      `The socket path '${path}' of chardev '${id}' exists and is no socket; choose another path.`,
    );
  }
  if (isListening(path)) {
    throw new UserError(
      `The socket path '${path}' of chardev '${id}' is in use by another process; choose another.`,
    );
  }
  rmSync(path);
}

const ACCEPTS_CONNECTIONS = "00010000";

/** Whether a process listens at a unix socket (proc(5), /proc/net/unix). */
function isListening(path: string): boolean {
  try {
    const rows = readFileSync("/proc/net/unix", "latin1").split("\n");
    return rows.some((row) => {
      const [, , , flags, , , , name = ""] = row.trim().split(/ +/);
      return (
        flags === ACCEPTS_CONNECTIONS && pathModule().resolve(name) === pathModule().resolve(path)
      );
    });
  } catch {
    // Without /proc nobody can tell.
    return false;
  }
}
