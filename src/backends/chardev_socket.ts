// A socket behind a character device: listens for one client after the other, or connects once.

import { closeSync } from "node:fs";
import type { Core } from "../core/core.ts";
import { CoreError, errnoText } from "../core/error.ts";
import { connect, listen } from "../core/host_calls.ts";
import { listenFault, UserError } from "../errors.ts";
import { removeOwnFile } from "../files.ts";
import type { ChardevConfig } from "../options/config.ts";
import { placeName, type SocketPlace, socketPlace } from "../options/socket_place.ts";
import type { Chardev } from "./chardev.ts";
import { socketAddress } from "./socket_address.ts";
import { clearSocketPath } from "./socket_path.ts";

type SocketConfig = Extract<ChardevConfig, { backend: "socket" }>;

export function openSocket(core: Core, config: SocketConfig): Chardev {
  const { id } = config;
  const place = socketPlace("-chardev", config);
  const what = `the socket '${placeName(place)}'`;
  if (!config.server) {
    const clientFd = connectTo(core, place, id);
    return { id, what, index: core.createChardev({ clientFd }), close: () => {} };
  }
  if (place.transport === "unix") {
    clearSocketPath(core, place.path, `The socket path '${place.path}' of chardev '${id}'`);
  }
  const listenFd = listenAt(core, place, id);
  const close = (): void => {
    closeSync(listenFd);
    if (place.transport === "unix") removeOwnFile(place.path);
  };
  return { id, what, index: core.createChardev({ listenFd }), waits: !config.nowait, close };
}

function listenAt(core: Core, place: SocketPlace, id: string): number {
  try {
    return listen(core, socketAddress(place));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const fault = listenFault(errnoText(error.errno));
    throw new UserError(`Chardev '${id}' cannot listen on '${placeName(place)}': ${fault}.`);
  }
}

function connectTo(core: Core, place: SocketPlace, id: string): number {
  try {
    return connect(core, socketAddress(place));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new UserError(
      `Chardev '${id}' cannot connect to '${placeName(place)}' (${errnoText(error.errno)}); ` +
        "choose another place, or listen with server,nowait.",
    );
  }
}
