// The Prometheus endpoint: what it answers to whom, and that no client costs more than its share.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { exposition } from "../../src/host/exposition.ts";
import { type MetricsServer, serveMetrics } from "../../src/host/metrics_server.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const BODY = `${"metric 1\n".repeat(200_000)}`;

let folder: TemporaryFolder;
let path: string;
let server: MetricsServer;

beforeEach(async () => {
  folder = new TemporaryFolder();
  path = folder.file("metrics.sock");
  server = await serveMetrics(path, () => BODY);
});

afterEach(() => {
  server.close();
  folder[Symbol.dispose]();
});

/** All that the server says to these bytes. */
async function talk(bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let said = "";
  const socket = await Bun.connect({
    unix: path,
    socket: {
      data: (_, chunk) => {
        said += chunk.toString();
      },
      close: () => resolve(said),
      error: () => resolve(said),
    },
  });
  socket.write(bytes);
  return promise;
}

test("a scrape gets everything, however long, in the text format", async () => {
  const response = await fetch("http://localhost/metrics", { unix: path });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await response.text()).toBe(BODY);
});

test.each([
  ["GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK"],
  ["GET / HTTP/1.1\r\n\r\n", "404 Not Found"],
  ["POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"],
  ["hello\r\n\r\n", "400 Bad Request"],
  ["x".repeat(9000), "431 Request Header Fields Too Large"],
])("%p is answered", async (request, status) => {
  expect((await talk(request)).split("\r\n")[0]).toBe(`HTTP/1.1 ${status}`);
});

test("HEAD gets the length and no body", async () => {
  const said = await talk("HEAD /metrics HTTP/1.1\r\n\r\n");
  expect(said).toContain(`\r\nContent-Length: ${BODY.length}\r\n`);
  expect(said).toEndWith("\r\n\r\n");
});

test("a request may come in pieces", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    unix: path,
    socket: { data: () => resolve(), close: () => {} },
  });
  for (const piece of ["GET /met", "rics HTTP/1.1\r\nHost: x\r", "\n\r\n"]) {
    socket.write(piece);
    socket.flush();
    await Bun.connect({ unix: path, socket: { data() {} } }).then((other) => other.terminate());
  }
  await promise;
  socket.terminate();
});

test("clients beyond sixteen are sent away, and the others are served on", async () => {
  const idle = await Promise.all(
    Array.from({ length: 16 }, () => Bun.connect({ unix: path, socket: { data() {} } })),
  );
  expect(await talk("GET /metrics HTTP/1.1\r\n\r\n")).toBe("");
  for (const socket of idle) socket.terminate();
  expect(await talk("GET / HTTP/1.1\r\n\r\n")).toStartWith("HTTP/1.1 404");
});

test("what goes wrong while collecting is told, and the server lives on", async () => {
  const other = folder.file("other.sock");
  const failing = await serveMetrics(other, () => {
    throw new Error("no such device");
  });
  const response = await fetch("http://localhost/metrics", { unix: other });
  expect(response.status).toBe(500);
  expect(await response.text()).toBe("no such device\n");
  failing.close();
});

describe("the socket", () => {
  test("is the owner's alone and goes with the server", () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    server.close();
    expect(existsSync(path)).toBe(false);
  });
});

test("labels and help are escaped, and empty families are left out", () => {
  const text = exposition([
    {
      name: "a_total",
      type: "counter",
      help: "a\\b\nc",
      samples: [{ labels: { id: 'x"\\\n' }, value: 1 }],
    },
    { name: "b", type: "gauge", help: "", samples: [] },
  ]);
  expect(text).toBe(
    '# HELP a_total a\\\\b\\nc\n# TYPE a_total counter\na_total{id="x\\"\\\\\\n"} 1\n',
  );
});
