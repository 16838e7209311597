// Transcripts of balloon and query-balloon.

import { expect, test } from "bun:test";
import { withServer } from "./harness.ts";

const qmp = withServer();
const GIB = 2 ** 30;

test("balloon answers first, then BALLOON_CHANGED says the size", async () => {
  qmp.machine.addBalloon(GIB);
  const client = await qmp.greeted();
  expect(await client.ask("query-balloon")).toEqual({ return: { actual: GIB } });
  expect(await client.ask("balloon", { arguments: { value: GIB / 2 }, id: 1 })).toEqual({
    return: {},
    id: 1,
  });
  expect(await client.next()).toMatchObject({
    event: "BALLOON_CHANGED",
    data: { actual: GIB / 2 },
  });
  expect(await client.ask("query-balloon")).toEqual({ return: { actual: GIB / 2 } });
});

test("more than the machine has means all of it", async () => {
  qmp.machine.addBalloon(GIB);
  const client = await qmp.greeted();
  await client.ask("balloon", { arguments: { value: 1024 * GIB } });
  expect(await client.next()).toMatchObject({ event: "BALLOON_CHANGED", data: { actual: GIB } });
});

test.each([
  ["balloon", { arguments: { value: GIB } }],
  ["query-balloon", {}],
])("%s needs a balloon", async (name, rest) => {
  const client = await qmp.greeted();
  expect(await client.ask(name, rest)).toEqual({
    error: {
      class: "DeviceNotActive",
      desc: "The machine has no balloon; start it with -device virtio-balloon-device.",
    },
  });
});

test.each([0, -4096, 1, 4095, 4097, 1e9, 0.5])("a value of %p is refused", async (value) => {
  qmp.machine.addBalloon(GIB);
  const client = await qmp.greeted();
  expect(await client.ask("balloon", { arguments: { value } })).toEqual({
    error: {
      class: "GenericError",
      desc:
        "Bad argument 'value' of 'balloon': expected a positive multiple of the guest's " +
        `page size, 4096 bytes, but got ${value}.`,
    },
  });
  expect(await client.ask("query-balloon")).toEqual({ return: { actual: GIB } });
});

test("a value in words is refused", async () => {
  qmp.machine.addBalloon(GIB);
  const client = await qmp.greeted();
  expect(await client.ask("balloon", { arguments: { value: "1G" } })).toMatchObject({
    error: { class: "GenericError" },
  });
  expect(await client.ask("balloon")).toMatchObject({ error: { class: "GenericError" } });
});

test("the event is among those that the machine can send", async () => {
  const client = await qmp.greeted();
  const { return: events } = await client.ask("query-events");
  expect(events).toContainEqual({ name: "BALLOON_CHANGED" });
});
