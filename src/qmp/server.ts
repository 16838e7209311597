// Listens on a unix or tcp socket for one QMP client at a time.

import type { Socket } from "bun";
import { errorCode, listenFault, UserError } from "../errors.ts";
import { removeOwnFile } from "../files.ts";
import type { QmpEndpoint } from "../options/config.ts";
import { listenPrivately } from "../private_socket.ts";
import { tracePoint } from "../trace_point.ts";
import { commandTable } from "./commands/registry.ts";
import { newCounters, type QmpCounters } from "./counters.ts";
import type { DescriptorChannel, MachineControl } from "./machine_control.ts";
import { Outbox, type OutboxSocket } from "./outbox.ts";
import { errorReply } from "./protocol.ts";
import { Session, type SessionContext } from "./session.ts";

export interface QmpServer {
  /** The tcp port in use; undefined on a unix socket. */
  readonly port: number | undefined;
  readonly counters: Readonly<QmpCounters>;
  /** Resolves when everything for the client was handed to the kernel, or it is gone. */
  flush(): Promise<void>;
  /** Ends the client, stops listening, removes the unix socket. */
  close(): void;
}

interface Client {
  readonly outbox: Outbox;
  /** Undefined for one that was refused. */
  readonly session: Session | undefined;
  /** On a unix socket, until the client sends nothing more. */
  channel: DescriptorChannel | undefined;
}

/** Receives of one client before another is told that it is still there. */
const lookCount = 64;

function now(): number {
  return performance.timeOrigin + performance.now();
}

class Listener {
  readonly counters = newCounters();
  readonly #context: SessionContext;
  readonly #stopEvents: () => void;
  readonly #transport: QmpEndpoint["transport"];
  #active: Socket<Client> | undefined;
  /** Sends nothing more and waits for its last replies. */
  #leaving: Socket<Client> | undefined;

  constructor(context: SessionContext, transport: QmpEndpoint["transport"]) {
    this.#context = context;
    this.#transport = transport;
    this.#stopEvents = context.control.onEvent((event) =>
      this.#active?.data.session?.notify(event),
    );
  }

  get active(): Client | undefined {
    return this.#active?.data;
  }

  accept(socket: Socket<Client>): void {
    this.#lookAtActive();
    if (this.#active !== undefined) {
      this.#refuse(socket);
      return;
    }
    const isUnix = this.#transport === "unix";
    const outbox = new Outbox(isUnix ? closingAtOnce(socket) : socket);
    const port = {
      send: (text: string) => outbox.send(text),
      close: () => outbox.close(),
      now,
    };
    this.counters.connections += 1;
    tracePoint("qmp_client", { change: "came" });
    this.#active = socket;
    socket.data = { outbox, session: undefined, channel: undefined };
    const session = new Session(port, commandTable, this.#context, this.counters);
    socket.data = { outbox, session, channel: isUnix ? this.#openChannel(socket) : undefined };
  }

  #refuse(socket: Socket<Client>): void {
    this.counters.refusedConnections += 1;
    tracePoint("qmp_client", { change: "refused" });
    const outbox = new Outbox(socket);
    socket.data = { outbox, session: undefined, channel: undefined };
    const sentence = "Another QMP client is connected; only one is served at a time.";
    outbox.send(errorReply("GenericError", sentence));
    outbox.close();
  }

  /** The runtime would drop descriptors that come with the bytes: it does not read the socket. */
  #openChannel(socket: Socket<Client>): DescriptorChannel {
    socket.pause();
    return this.#context.control.openChannel(descriptorOf(socket), () => this.#read(socket));
  }

  /** Whether something was there, if only the end. */
  #read(socket: Socket<Client>): boolean {
    const { channel, session } = socket.data;
    const delivery = channel?.receive();
    if (delivery === undefined) return false;
    if (delivery.bytes.length > 0) session?.receive(delivery.bytes, delivery.descriptors);
    else this.#leave(socket);
    return true;
  }

  /** The client may have left, and nobody was told so far. */
  #lookAtActive(): void {
    const socket = this.#active;
    if (socket === undefined) return;
    for (let count = 0; count < lookCount && this.#active === socket; count += 1) {
      if (!this.#read(socket)) return;
    }
  }

  #leave(socket: Socket<Client>): void {
    closeChannel(socket);
    this.#forget(socket);
    this.#leaving?.terminate();
    this.#leaving = socket;
    socket.data.session?.finish();
  }

  #forget(socket: Socket<Client>): void {
    if (this.#active !== socket) return;
    this.#active = undefined;
    tracePoint("qmp_client", { change: "left" });
  }

  end(socket: Socket<Client>): void {
    if (socket.data === undefined) return;
    closeChannel(socket);
    socket.data.session?.end();
    socket.data.outbox.drop();
    this.#forget(socket);
    if (this.#leaving === socket) this.#leaving = undefined;
  }

  close(): void {
    this.#stopEvents();
    for (const socket of [this.#active, this.#leaving]) {
      if (socket === undefined) continue;
      socket.data.session?.end();
      closeChannel(socket);
      if (this.#transport === "unix") socket.terminate();
      else socket.end();
    }
    this.#active = undefined;
    this.#leaving = undefined;
  }
}

/** A duplicate of the socket would keep the connection. */
function closeChannel(socket: Socket<Client>): void {
  socket.data.channel?.close();
  socket.data.channel = undefined;
}

/** Nobody reads the socket, so that its end by the other side would not be seen. */
function closingAtOnce(socket: Socket<Client>): OutboxSocket {
  return {
    write: (bytes) => socket.write(bytes),
    end: () => socket.terminate(),
    terminate: () => socket.terminate(),
  };
}

/** Bun's types do not know of it; its runtime does. */
function descriptorOf(socket: Socket<Client>): number {
  return (socket as unknown as { readonly fd: number }).fd;
}

/**
 * Serves QMP for a machine; the path of a unix socket must be free. Throws a UserError when the
 * endpoint cannot be bound.
 */
export async function serveQmp(
  endpoint: QmpEndpoint,
  control: MachineControl,
  version: string,
): Promise<QmpServer> {
  const context = { control, version, commands: commandTable.commands };
  const listener = new Listener(context, endpoint.transport);
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
    counters: listener.counters,
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
  if (endpoint.transport === "unix") {
    return listenPrivately<Client>({ what: "QMP", path: endpoint.path, socket });
  }
  try {
    return Bun.listen<Client>({ hostname: endpoint.host, port: endpoint.port, socket });
  } catch (error) {
    const where = `${endpoint.host}:${endpoint.port}`;
    const fault = listenFault(errorCode(error));
    throw new UserError(`Cannot listen for QMP on '${where}': ${fault}.`);
  }
}
