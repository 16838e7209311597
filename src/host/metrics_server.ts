// The Prometheus endpoint: a small HTTP/1.1 answerer on a unix socket (RFC 9112). It knows GET and
// HEAD of /metrics, one request a connection; a client costs at most its few kilobytes and seconds.

import type { Socket } from "bun";
import { messageOf } from "../errors.ts";
import { removeOwnFile } from "../files.ts";
import { listenPrivately } from "../private_socket.ts";

export interface MetricsServer {
  close(): void;
}

/** Content type of the text format. */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const REQUEST_SIZE_MAX = 8 * 1024;
const CLIENT_COUNT_MAX = 16;
/** How long a client may take to ask and to listen. */
const CLIENT_TIMEOUT_S = 10;

interface Client {
  request: string;
  /** What the socket has not taken yet. */
  rest: Uint8Array;
  isAnswered: boolean;
}

/** Serves what `collect` says at the time. Throws a UserError when the path cannot be bound. */
export async function serveMetrics(path: string, collect: () => string): Promise<MetricsServer> {
  const clients = new Set<Socket<Client>>();
  const leave = (socket: Socket<Client>): void => {
    clients.delete(socket);
  };
  const bound = await listenPrivately<Client>({
    what: "metrics",
    path,
    socket: {
      open: (socket) => {
        socket.data = { request: "", rest: new Uint8Array(0), isAnswered: false };
        if (clients.size >= CLIENT_COUNT_MAX) return void socket.terminate();
        clients.add(socket);
        socket.timeout(CLIENT_TIMEOUT_S);
      },
      data: (socket, bytes) => receive(socket, bytes, collect),
      drain: flush,
      timeout: (socket) => void socket.terminate(),
      close: leave,
      error: leave,
    },
  });
  return {
    close() {
      for (const socket of clients) socket.terminate();
      bound.stop(true);
      removeOwnFile(path);
    },
  };
}

function receive(socket: Socket<Client>, bytes: Uint8Array, collect: () => string): void {
  const client = socket.data;
  if (client.isAnswered) return;
  client.request += Buffer.from(bytes).toString("latin1");
  const isComplete = /\r?\n\r?\n/.test(client.request);
  if (!isComplete && client.request.length <= REQUEST_SIZE_MAX) return;
  client.isAnswered = true;
  client.rest = new TextEncoder().encode(isComplete ? answer(client.request, collect) : TOO_LONG);
  flush(socket);
}

function flush(socket: Socket<Client>): void {
  const client = socket.data;
  if (!client.isAnswered) return;
  const taken = socket.write(client.rest);
  if (taken > 0) client.rest = client.rest.subarray(taken);
  if (client.rest.length === 0) socket.end();
}

interface Response {
  readonly status: string;
  readonly type?: string;
  readonly body: string;
  readonly withoutBody?: boolean;
}

const TOO_LONG = render({ status: "431 Request Header Fields Too Large", body: "too long\n" });

function answer(request: string, collect: () => string): string {
  const [, method = "", target = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?\n/.exec(request) ?? [];
  if (method === "") return render({ status: "400 Bad Request", body: "no HTTP request\n" });
  if (method !== "GET" && method !== "HEAD") {
    return render({ status: "405 Method Not Allowed", body: "use GET\n" });
  }
  const withoutBody = method === "HEAD";
  if (target.split("?")[0] !== "/metrics") {
    return render({ status: "404 Not Found", body: "see /metrics\n", withoutBody });
  }
  try {
    return render({ status: "200 OK", type: CONTENT_TYPE, body: collect(), withoutBody });
  } catch (error) {
    return render({ status: "500 Internal Server Error", body: `${messageOf(error)}\n` });
  }
}

function render({ status, type = "text/plain", body, withoutBody }: Response): string {
  const head = [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status.startsWith("405") ? ["Allow: GET, HEAD"] : []),
    "Connection: close",
  ].join("\r\n");
  return `${head}\r\n\r\n${withoutBody === true ? "" : body}`;
}
