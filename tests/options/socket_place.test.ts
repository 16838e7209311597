// Addresses of sockets as bytes (RFC 4291), and places as they are named.

import { expect, test } from "bun:test";
import { addressBytes, placeName } from "../../src/options/socket_place.ts";

const zeroes = (count: number): number[] => Array<number>(count).fill(0);

test.each([
  ["127.0.0.1", [127, 0, 0, 1]],
  ["localhost", [127, 0, 0, 1]],
  ["0.0.0.0", zeroes(4)],
  ["::", zeroes(16)],
  ["::1", [...zeroes(15), 1]],
  ["fe80::", [0xfe, 0x80, ...zeroes(14)]],
  ["2001:db8::A:b", [0x20, 0x01, 0x0d, 0xb8, ...zeroes(8), 0, 0x0a, 0, 0x0b]],
  ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
])("%s is an address", (text, bytes) => {
  expect(addressBytes(text)).toEqual(bytes);
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "1.2.3.-4",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4::5:6:7:8",
  "12345::",
  "g::",
])("'%s' is none", (text) => {
  expect(addressBytes(text)).toBeUndefined();
});

test("an IPv6 address is named in brackets", () => {
  expect(placeName({ transport: "tcp", host: "::1", port: 4444 })).toBe("[::1]:4444");
  expect(placeName({ transport: "tcp", host: "10.0.0.1", port: 1 })).toBe("10.0.0.1:1");
  expect(placeName({ transport: "unix", path: "/s" })).toBe("/s");
});
