// bun run guest: makes the guest images and says where they are.

import { messageOf } from "../../src/errors.ts";
import { guestImages } from "./images.ts";
import { fastArguments } from "./kernel_arguments.ts";

try {
  const images = await guestImages({ refresh: process.argv.includes("--refresh") });
  for (const [name, value] of Object.entries(images)) console.log(`${name.padEnd(8)} ${value}`);
  console.log(`append   ${fastArguments}`);
} catch (error) {
  process.stderr.write(`guest: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
