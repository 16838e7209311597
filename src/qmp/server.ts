// Listens on a unix or tcp socket for one QMP client at a time.

import { chmodSync, lstatSync, rmSync } from "node:fs";
import type { Socket } from "bun";
import { messageOf, UserError } from "../errors.ts";
import { removeOwnFile } from "../files.ts";
import type { QmpEndpoint } from "../options/config.ts";
import type { CommandContext } from "./command.ts";
import { commandTable } from "./commands/registry.ts";
import type { MachineControl } from "./machine_control.ts";
import { Outbox } from "./outbox.ts";
import { errorReply } from "./protocol.ts";
import { Session } from "./session.ts";

export interface QmpServer {
  /** The tcp port in use; undefined on a unix socket. */
  readonly port: number | undefined;
  /** Resolves when everything for the client was handed to the kernel, or it is gone. */
  flush(): Promise<void>;
  /** Ends the client, stops listening, removes the unix socket. */
  close(): void;
}

interface Client {
  readonly outbox: Outbox;
  readonly session: Session | undefined;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Whether somebody listens on a unix socket. */
async function isAlive(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}

/** Removes what a dead process left at the path; refuses anything else. */
async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new UserError(`The QMP socket '${path}' exists and is no socket; choose another path.`);
  }
  if (await isAlive(path)) {
    throw new UserError(`The QMP socket '${path}' is in use by another process; choose another.`);
  }
  rmSync(path, { force: true });
}

class Listener {
  readonly #context: CommandContext;
  readonly #stopEvents: () => void;
  #active: Socket<Client> | undefined;

  constructor(context: CommandContext) {
    this.#context = context;
    this.#stopEvents = context.control.onEvent((event) =>
      this.#active?.data.session?.notify(event),
    );
  }

  get active(): Client | undefined {
    return this.#active?.data;
  }

  accept(socket: Socket<Client>): void {
    const outbox = new Outbox(socket);
    if (this.#active !== undefined) {
      socket.data = { outbox, session: undefined };
      const sentence = "Another QMP client is connected; only one is served at a time.";
      outbox.send(errorReply("GenericError", sentence));
      outbox.close();
      return;
    }
    const port = {
      send: (text: string) => outbox.send(text),
      close: () => outbox.close(),
      now,
    };
    socket.data = { outbox, session: new Session(port, commandTable, this.#context) };
    this.#active = socket;
  }

  end(socket: Socket<Client>): void {
    socket.data?.session?.end();
    socket.data?.outbox.drop();
    if (this.#active === socket) this.#active = undefined;
  }

  close(): void {
    this.#stopEvents();
    this.#active?.data.session?.end();
    this.#active?.end();
    this.#active = undefined;
  }
}

/** Serves QMP for a machine. Throws a UserError when the endpoint cannot be bound. */
export async function serveQmp(
  endpoint: QmpEndpoint,
  control: MachineControl,
  version: string,
): Promise<QmpServer> {
  const listener = new Listener({ control, version, commands: commandTable.commands });
  const socket = {
    open: (client: Socket<Client>) => listener.accept(client),
    data: (client: Socket<Client>, chunk: Buffer) => client.data.session?.receive(chunk),
    drain: (client: Socket<Client>) => client.data.outbox.flush(),
    close: (client: Socket<Client>) => listener.end(client),
    error: (client: Socket<Client>) => listener.end(client),
  };
  const unixPath = endpoint.transport === "unix" ? endpoint.path : undefined;
  const bound = await bind(endpoint, socket);
  return {
    port: unixPath === undefined ? bound.port : undefined,
    flush: () => listener.active?.outbox.idle() ?? Promise.resolve(),
    close() {
      listener.close();
      bound.stop(true);
      if (unixPath !== undefined) removeOwnFile(unixPath);
    },
  };
}

interface Bound {
  readonly port?: number;
  stop(force: boolean): void;
}

async function bind(endpoint: QmpEndpoint, socket: Bun.SocketHandler<Client>): Promise<Bound> {
  if (endpoint.transport === "unix") await removeStale(endpoint.path);
  // The socket is the owner's alone from its first moment (mode 0600).
  const mask = process.umask(0o177);
  try {
    if (endpoint.transport === "tcp") {
      return Bun.listen<Client>({ hostname: endpoint.host, port: endpoint.port, socket });
    }
    const bound = Bun.listen<Client>({ unix: endpoint.path, socket });
    chmodSync(endpoint.path, 0o600);
    return { stop: (force) => bound.stop(force) };
  } catch (error) {
    const where =
      endpoint.transport === "unix" ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
    throw new UserError(`Cannot listen for QMP on '${where}': ${messageOf(error)}.`);
  } finally {
    process.umask(mask);
  }
}
