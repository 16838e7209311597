// How a network device with two pairs of queues uses as many as its driver asks for, whoever moves
// the frames.

import { expect } from "bun:test";
import type { FrameSocket } from "../../support/datagrams.ts";
import {
  frameTo,
  type NetDriver,
  OWN_MAC,
  RECEIVE,
  SEND,
  withHeader,
} from "../../support/net_driver.ts";
import { until } from "../../support/until.ts";

const BUFFER_SIZE = 1530;

interface Ends {
  readonly driver: NetDriver;
  /** The other end of the wire. */
  readonly wire: Pick<FrameSocket, "send" | "receive">;
}

/** An UDP packet whose source port tells flows apart. */
function packet(port: number): Uint8Array {
  const frame = frameTo(OWN_MAC);
  frame.set([0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 12);
  frame.set([port >> 8, port & 0xff, 0, 9, 0, 26, 0, 0], 34);
  return frame;
}

/** The driver asks for two pairs, then for one; frames of many flows go to those in use. */
export async function usesThePairsInUse({ driver, wire }: Ends): Promise<void> {
  const [secondReceive, secondSend] = [RECEIVE + 2, SEND + 2];
  expect(await driver.command([4, 0, 2, 0])).toBe(0);
  driver.offer(secondSend, driver.sending(withHeader(packet(77))));
  expect(await wire.receive()).toEqual(packet(77));
  driver.offerBuffers(64, BUFFER_SIZE, RECEIVE);
  driver.offerBuffers(64, BUFFER_SIZE, secondReceive);
  for (let port = 1; port <= 64; port += 1) wire.send(packet(port));
  const count = (queue: number) => driver.queue(queue).usedIndex();
  await until("64 frames", () => count(RECEIVE) + count(secondReceive) === 64);
  expect(Math.min(count(RECEIVE), count(secondReceive))).toBeGreaterThan(0);
  expect(await driver.command([4, 0, 1, 0])).toBe(0);
  const [before, idle] = [count(RECEIVE), count(secondReceive)];
  driver.offerBuffers(16, BUFFER_SIZE, RECEIVE);
  for (let port = 1; port <= 16; port += 1) wire.send(packet(port));
  await until("16 frames more", () => count(RECEIVE) === before + 16);
  expect(count(secondReceive)).toBe(idle);
}
