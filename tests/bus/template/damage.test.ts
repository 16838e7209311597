// Templates that are damaged, cut short, foreign or newer: each is refused with one sentence before
// a machine is made of it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { messageOf } from "../../../src/errors.ts";
import { encodeMemoryHeader } from "../../../src/machine/snapshot/memory_header.ts";
import { decodeState, encodeState } from "../../../src/machine/snapshot/state_file.ts";
import { makeTemplate, tryTemplate } from "../../support/template_machine.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";

const MACHINE =
  "-object rng-random,id=r,filename=/dev/urandom -device virtio-rng-device,rng=r,id=d";
const MIB = 2 ** 20;
const FILE_SIZE = 130 * MIB;

const folder = new TemporaryFolder();
const whole = folder.file("whole");
const template = folder.file("t");
const state = `${template}/state`;
const memory = `${template}/memory`;

beforeAll(() => makeTemplate(whole, MACHINE));
afterAll(() => folder[Symbol.dispose]());

/** Changes the bytes of a file. */
function edit(path: string, change: (bytes: Uint8Array) => Uint8Array | undefined): void {
  const bytes = new Uint8Array(readFileSync(path));
  writeFileSync(path, change(bytes) ?? bytes);
}

function flip(path: string, offset: number): void {
  edit(path, (bytes) => {
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
    return undefined;
  });
}

/** The memory file is large and sparse: only its first page is read and written. */
function editHeader(change: (page: Uint8Array) => void): void {
  const bytes = new Uint8Array(4096);
  bytes.set(readFileSync(memory).subarray(0, bytes.length));
  change(bytes);
  writeFileSync(memory, bytes);
  truncateSync(memory, FILE_SIZE);
}

/** Where a part's state begins. */
function offsetOf(name: string): number {
  const { sections } = decodeState(state, new Uint8Array(readFileSync(state)));
  const section = sections.get(name);
  if (section === undefined) throw new Error(`there is no '${name}'`);
  return section.byteOffset;
}

/** Writes the state anew, with other words in its manifest, and with checksums that are right. */
function rewrite(find: string, replacement: string): void {
  edit(state, (bytes) => {
    const { manifest, sections } = decodeState(state, bytes);
    const text = JSON.stringify(manifest).replace(find, replacement);
    const list = [...sections].map(([name, value]) => ({ name, bytes: value }));
    return encodeState(JSON.parse(text), list);
  });
}

/** Writes the state anew with other bytes for one of its parts. */
function replaceSection(name: string, bytes: Uint8Array | undefined): void {
  edit(state, (file) => {
    const { manifest, sections } = decodeState(state, file);
    const kept = [...sections].filter(([each]) => each !== name || bytes !== undefined);
    const list = kept.map(([each, value]) => ({
      name: each,
      bytes: each === name && bytes !== undefined ? bytes : value,
    }));
    return encodeState(manifest, list);
  });
}

const setUint32 = (bytes: Uint8Array, offset: number, value: number) =>
  new DataView(bytes.buffer).setUint32(offset, value, true);

const damaged = (path: string, what: string) =>
  `The template's file '${path}' is damaged: ${what}; save the machine again.`;
const missing = (path: string) =>
  `The template's file '${path}' does not exist; name a folder to which 'migrate' has saved a ` +
  "machine.";
const foreign = (path: string, kind: string) =>
  `The file '${path}' is not the ${kind} of a template of this program; name a folder to which ` +
  "'migrate' has saved a machine.";
const sized = (path: string, what: string, size: number, expected: number) =>
  `The template's file '${path}' is ${what}: it has ${size} bytes, not ${expected}; save the ` +
  "machine again.";
const sizeOfState = () => readFileSync(`${whole}/state`).length;
const newer = (path: string) =>
  `The template's file '${path}' has the format 2, but this program knows 1; use the program ` +
  "that saved it, or save the machine again.";

const DAMAGES: [string, () => void, () => string][] = [
  ["no folder", () => rmSync(template, { recursive: true }), () => missing(state)],
  ["no state", () => rmSync(state), () => missing(state)],
  ["no memory", () => rmSync(memory), () => missing(memory)],
  ["an empty state", () => truncateSync(state, 0), () => foreign(state, "state")],
  ["an empty memory", () => truncateSync(memory, 0), () => foreign(memory, "memory")],
  [
    "a state without most of its header",
    () => truncateSync(state, 20),
    () => sized(state, "cut short", 20, 64),
  ],
  [
    "a state without its end",
    () => truncateSync(state, sizeOfState() - 1),
    () => sized(state, "cut short", sizeOfState() - 1, sizeOfState()),
  ],
  [
    "a state with a byte too many",
    () => truncateSync(state, sizeOfState() + 1),
    () => sized(state, "too long", sizeOfState() + 1, sizeOfState()),
  ],
  [
    "a state that is huge",
    () => truncateSync(state, 2 ** 40),
    () => sized(state, "too long", 2 ** 40, 2 ** 26),
  ],
  [
    "a memory without its header's end",
    () => truncateSync(memory, 100),
    () => sized(memory, "cut short", 100, 116),
  ],
  [
    "a memory without its last page",
    () => truncateSync(memory, FILE_SIZE - 4096),
    () => sized(memory, "cut short", FILE_SIZE - 4096, FILE_SIZE),
  ],
  [
    "a memory with a page too many",
    () => truncateSync(memory, FILE_SIZE + 4096),
    () => sized(memory, "too long", FILE_SIZE + 4096, FILE_SIZE),
  ],
  ["a state that begins otherwise", () => flip(state, 3), () => foreign(state, "state")],
  [
    "a memory that begins otherwise",
    () => editHeader((page) => page.set([0x7f, 0x45])),
    () => foreign(memory, "memory"),
  ],
  [
    "another program's state",
    () => writeFileSync(state, "\x80\0\0\0\0\0\0\0{}".padEnd(4096)),
    () => foreign(state, "state"),
  ],
  ["a newer state", () => edit(state, (bytes) => void setUint32(bytes, 16, 2)), () => newer(state)],
  ["a newer memory", () => editHeader((page) => setUint32(page, 16, 2)), () => newer(memory)],
  [
    "a state of no version",
    () => edit(state, (bytes) => void setUint32(bytes, 16, 0)),
    () => damaged(state, "its format 0 does not exist"),
  ],
  [
    "a wrong size of the manifest",
    () => flip(state, 20),
    () => damaged(state, "its manifest does not match its checksum"),
  ],
  [
    "a bit of the manifest",
    () => flip(state, 100),
    () => damaged(state, "its manifest does not match its checksum"),
  ],
  [
    "a bit of the manifest's checksum",
    () => flip(state, 40),
    () => damaged(state, "its manifest does not match its checksum"),
  ],
  [
    "a bit of a device's state",
    () => flip(state, offsetOf("device d") + 9),
    () => damaged(state, "'device d' does not match its checksum"),
  ],
  [
    "the last bit of the state",
    () => flip(state, sizeOfState() - 1),
    () => damaged(state, "'memory checksums' does not match its checksum"),
  ],
  [
    "a bit of the memory's header",
    () => editHeader((page) => page.set([0x58], 50)),
    () => damaged(memory, "its header does not match its checksum"),
  ],
  [
    "a manifest without a part",
    () => rewrite('"cpu":{"count":1},', ""),
    () => damaged(state, "in its manifest 'cpu' is missing"),
  ],
  [
    "a manifest with a word for a number",
    () => rewrite('"count":1', '"count":"one"'),
    () => damaged(state, `in its manifest 'cpu.count' is "one", not number`),
  ],
  [
    "a manifest with a negative size",
    () => rewrite('"offset":2097152', '"offset":-1'),
    () => damaged(state, "in its manifest 'memory.pieces.0.offset' is -1, not >=0"),
  ],
  [
    "a manifest whose memory lies beyond its file",
    () => rewrite('"offset":2097152', '"offset":4194304'),
    () => damaged(state, "its pieces of memory do not lie as they should"),
  ],
  [
    "a manifest with half of the memory",
    () => rewrite('"size":134217728,"offset"', '"size":67108864,"offset"'),
    () => damaged(state, "its pieces of memory do not lie as they should"),
  ],
  [
    "a manifest whose memory is elsewhere in the guest",
    () => rewrite('"address":0', '"address":4096'),
    () => "The template has its memory at other addresses; save the machine again.",
  ],
  [
    "the memory of another template",
    () => editHeader((page) => page.set(encodeMemoryHeader("f".repeat(64)))),
    () =>
      `The template's file '${memory}' belongs to another 'state' than the one beside it; save ` +
      "the machine again.",
  ],
  [
    "a state that is a folder",
    () => {
      rmSync(state);
      mkdirSync(state);
    },
    () => `The template's file '${state}' is no regular file; name another template.`,
  ],
  [
    "a device whose state is missing",
    () => replaceSection("device d", undefined),
    () => `The template '${template}' lacks the state of 'device d'; save the machine again.`,
  ],
  [
    "a device whose state is empty",
    () => replaceSection("device d", new Uint8Array(0)),
    () =>
      `The state of 'device d' in the template '${template}' is refused: it is cut short or has ` +
      "bytes too many (it claims 0).",
  ],
  [
    "a device with another's state",
    () => replaceSection("device d", new Uint8Array(64)),
    () =>
      `The state of 'device d' in the template '${template}' is refused: it is the state of ` +
      "another kind of thing (0).",
  ],
];

function refusal(): string {
  try {
    tryTemplate(`${MACHINE} -incoming file:${template}`);
    return "accepted";
  } catch (error) {
    return messageOf(error);
  }
}

function restoreWhole(): void {
  rmSync(template, { recursive: true, force: true });
  cpSync(whole, template, { recursive: true });
}

test("a whole template is accepted, by either name of its memory", () => {
  restoreWhole();
  expect(refusal()).toBe("accepted");
  renameSync(memory, `${memory}.new`);
  expect(refusal()).toBe("accepted");
});

test.each(DAMAGES)("%s is refused", (...row) => {
  const [, damage, sentence] = row;
  restoreWhole();
  damage();
  expect(refusal()).toBe(sentence());
});
