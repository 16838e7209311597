// A unix socket to listen on that is the owner's alone (mode 0600) from its first moment.

import { chmodSync, lstatSync, rmSync } from "node:fs";
import { messageOf, UserError } from "./errors.ts";

export interface PrivateSocket<Data> {
  /** For sentences: "QMP". */
  readonly what: string;
  readonly path: string;
  readonly socket: Bun.SocketHandler<Data>;
}

export interface Listening {
  stop(force: boolean): void;
}

/** Listens; throws a UserError when the path is taken or cannot be bound. */
export async function listenPrivately<Data>(options: PrivateSocket<Data>): Promise<Listening> {
  const { what, path, socket } = options;
  await removeStale(what, path);
  const mask = process.umask(0o177);
  try {
    const bound = Bun.listen<Data>({ unix: path, socket });
    chmodSync(path, 0o600);
    return { stop: (force) => bound.stop(force) };
  } catch (error) {
    throw new UserError(`Cannot listen for ${what} on '${path}': ${messageOf(error)}.`);
  } finally {
    process.umask(mask);
  }
}

/** Removes what a dead process left at the path; refuses anything else. */
async function removeStale(what: string, path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new UserError(
      `The ${what} socket '${path}' exists and is no socket; choose another path.`,
    );
  }
  if (await isAlive(path)) {
    throw new UserError(
      `The ${what} socket '${path}' is in use by another process; choose another.`,
    );
  }
  rmSync(path, { force: true });
}

async function isAlive(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}
