// Makes a tap and gives one of its queues to a machine by getfd: run beside the machine.
// Usage: bun send_tap.ts SOCKET NAME ADDRESS. The tap is there for as long as the machine has it.

import { closeSync, constants, openSync } from "node:fs";
import { Client } from "../qmp/client.ts";
import { libc, must } from "../support/libc.ts";

const TUNSETIFF = 0x4004_54ca;
/** IFF_TAP, IFF_NO_PI and IFF_VNET_HDR (linux/if_tun.h). */
const FLAGS = 0x5002;
const NAME_SIZE = 16;

const [socket = "", name = "", address = ""] = process.argv.slice(2);
const fd = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
const request = new DataView(new ArrayBuffer(40));
new TextEncoder().encodeInto(name, new Uint8Array(request.buffer));
request.setUint16(NAME_SIZE, FLAGS, true);
must("TUNSETIFF", libc.ioctl(fd, TUNSETIFF, new Uint8Array(request.buffer)));
Bun.spawnSync(["ip", "addr", "add", address, "dev", name]);
Bun.spawnSync(["ip", "link", "set", name, "up"]);
const client = await Client.connect({ unix: socket });
await client.next();
client.sendWith([fd], JSON.stringify({ execute: "getfd", arguments: { fdname: name } }));
console.log(JSON.stringify(await client.next()));
await client.end();
closeSync(fd);
process.exit();
