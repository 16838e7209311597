// A unix socket to listen on that is the owner's alone (mode 0600) from its first moment.

import { chmodSync } from "node:fs";
import { errorCode, listenFault, UserError } from "./errors.ts";

export interface PrivateSocket<Data> {
  /** For sentences: "QMP". */
  readonly what: string;
  readonly path: string;
  readonly socket: Bun.SocketHandler<Data>;
}

export interface Listening {
  stop(force: boolean): void;
}

/** Listens; throws a UserError when the path cannot be bound. */
export async function listenPrivately<Data>(options: PrivateSocket<Data>): Promise<Listening> {
  const { what, path, socket } = options;
  const mask = process.umask(0o177);
  try {
    const bound = Bun.listen<Data>({ unix: path, socket });
    chmodSync(path, 0o600);
    return { stop: (force) => bound.stop(force) };
  } catch (error) {
    const fault = listenFault(errorCode(error));
    throw new UserError(`Cannot listen for ${what} on '${path}': ${fault}.`);
  } finally {
    process.umask(mask);
  }
}
