// Runs a program beside the guests, wherever that is, and returns what it prints.

import { expect } from "bun:test";
import { guestHost } from "./host.ts";

const timeoutMs = 100_000;

export async function outputOnHost(argv: string[]): Promise<string> {
  const host = await guestHost();
  let text = "";
  const add = (bytes: Uint8Array) => {
    text += new TextDecoder().decode(bytes);
  };
  const stdin = new ReadableStream<Uint8Array>({ start: (source) => source.close() });
  const streams = { stdin, onStdout: add, onStderr: add, env: {}, timeoutMs };
  const { code } = await host.start(argv, streams);
  expect({ code, text }).toEqual({ code: 0, text });
  return text;
}
