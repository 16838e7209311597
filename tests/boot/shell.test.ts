// A guest boots from its disk to a shell on the serial console, keeps what is written, and
// switches itself off.

import { beforeAll, describe, expect, test } from "bun:test";
import { readBack } from "./disk.ts";
import { parkCount } from "./exits.ts";
import { Guest, type Outcome } from "./guest.ts";
import { guestHost, prepareTimeoutMs } from "./host.ts";

beforeAll(async () => {
  console.log(`guests run in: ${(await guestHost()).name}`);
}, prepareTimeoutMs);

describe("a guest with a shell on its serial console", () => {
  let outcome: Outcome;

  test("reads what is typed and answers", async () => {
    const guest = await Guest.start({});
    await guest.shows(/guest:\S*# /);
    await guest.type("echo answer $((6 * 7)) of $(nproc) vCPU");
    await guest.shows(/answer 42 of 1 vCPU/);
    await guest.type('for word in a b c; do echo "$word" >> /root/written; done; mount | grep vda');
    await guest.shows(/\/dev\/vda on \/ type ext4 \(rw/);
    await guest.type("poweroff");
    outcome = await guest.outcome();
  });

  test("ends with 0 and its reason in the log", () => {
    expect(outcome.code).toBe(0);
    expect(outcome.log).toContain("INFO: the guest switched itself off");
  });

  test("leaves a clean disk that holds the file written inside", async () => {
    const { content, check } = await readBack(outcome.disk, "/root/written");
    expect(content).toBe("a\nb\nc\n");
    expect(check).toContain("Pass 5");
  });

  test("never waits for JavaScript before it switches itself off", () => {
    expect(parkCount(outcome.log)).toBe(1);
  });
});
