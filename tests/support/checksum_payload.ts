// A guest that goes over its memory again and again: it checks that each number is what the last
// pass has left, leaves the next one, and prints a dot for each pass, or an E and no more.

import { payload, print, x86 } from "./x86.ts";

const BASE = 0x40_0000;
const COUNT = 0x100;
/** From one number to the next: each is in a page of its own, at another place in it. */
const STRIDE = 0x4008;
/** What the number at one place has more than the one before it. */
const STEP = 0x9_e377;

const doubleWord = (value: number) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

const clear = { rax: [0x31, 0xc0], rbx: [0x31, 0xdb] };
const toStart = [...x86.movEdi(BASE), ...x86.movEcx(COUNT)];
const storeRax = [0x48, 0x89, 0x07];
const addToRax = (value: number) => [0x48, 0x05, ...doubleWord(value)];
/** add rdi, STRIDE; dec ecx; jnz back over the whole */
const next = [0x48, 0x81, 0xc7, ...doubleWord(STRIDE), 0xff, 0xc9, 0x75];
const loop = (body: readonly number[]) => [
  ...[...body, ...next],
  0x100 - body.length - next.length - 1,
];

const fill = [...clear.rax, ...toStart, ...loop([...storeRax, ...addToRax(STEP)])];
const dot = [0x48, 0xff, 0xc3, ...print(".")]; // inc rbx
const failure = [...print("E"), ...x86.disableInterrupts, ...x86.halt];

/** cmp [rdi], rax; jne to what follows the pass; inc rax, and the number goes back. */
const compare = (toFailure: number) => [0x48, 0x39, 0x07, 0x75, toFailure, 0x48, 0xff, 0xc0];
const inner = (toFailure: number) =>
  loop([...compare(toFailure), ...storeRax, ...addToRax(STEP - 1)]);
const jumpSize = 2;
const afterCompare = inner(0).length - 5 + dot.length + jumpSize;
const pass = [...toStart, 0x48, 0x89, 0xd8, ...inner(afterCompare), ...dot]; // mov rax, rbx

export const checksumPayload = payload(
  [...clear.rbx, ...fill],
  [...pass, ...x86.jumpBack(pass.length)],
  failure,
);
