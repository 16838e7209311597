// The few x86-64 instructions that payloads are made of, as bytes (Intel SDM, volume 2). A payload
// is a list of them, one a line.

type Code = readonly number[];

const word = (value: number): Code => [value & 0xff, (value >>> 8) & 0xff];
const doubleWord = (value: number): Code => [...word(value), ...word(value >>> 16)];

export const x86 = {
  /** mov dx, value */
  movDx: (value: number): Code => [0x66, 0xba, ...word(value)],
  /** mov al, value */
  movAl: (value: number): Code => [0xb0, value],
  /** mov eax, value: clears the upper half of rax. */
  movEax: (value: number): Code => [0xb8, ...doubleWord(value)],
  /** mov ecx, value */
  movEcx: (value: number): Code => [0xb9, ...doubleWord(value)],
  /** mov esi, value */
  movEsi: (value: number): Code => [0xbe, ...doubleWord(value)],
  /** mov edi, value */
  movEdi: (value: number): Code => [0xbf, ...doubleWord(value)],
  /** out dx, al */
  outByte: [0xee] as Code,
  /** in al, dx */
  inByte: [0xec] as Code,
  /** rep outsb: ecx bytes from [rsi] to port dx. */
  outString: [0xf3, 0x6e] as Code,
  /** mov [rdi], eax */
  storeEax: [0x89, 0x07] as Code,
  /** mov eax, [rdi] */
  loadEax: [0x8b, 0x07] as Code,
  /** shr eax, 8 */
  shiftEaxByByte: [0xc1, 0xe8, 0x08] as Code,
  /** inc qword [rdi] */
  increment: [0x48, 0xff, 0x07] as Code,
  /** cmp word [rdi], value */
  compareWord: (value: number): Code => [0x66, 0x81, 0x3f, ...word(value)],
  /** pause */
  pause: [0xf3, 0x90] as Code,
  /** je back over `length` bytes that end before it */
  jumpBackIfEqual: (length: number): Code => [0x74, (-length - 2) & 0xff],
  /** jmp back over `length` bytes that end before it */
  jumpBack: (length: number): Code => [0xeb, (-length - 2) & 0xff],
  /** jmp rax */
  jumpToRax: [0xff, 0xe0] as Code,
  /** lidt [rdi] */
  loadInterruptTable: [0x0f, 0x01, 0x1f] as Code,
  /** ud2: an exception */
  undefined: [0x0f, 0x0b] as Code,
  /** cli, sti, hlt, iretq */
  disableInterrupts: [0xfa] as Code,
  enableInterrupts: [0xfb] as Code,
  halt: [0xf4] as Code,
  interruptReturn: [0x48, 0xcf] as Code,
} as const;

/** out port, value */
export function writePort(port: number, value: number): Code {
  return [...x86.movDx(port), ...x86.movAl(value), ...x86.outByte];
}

/** Text to the serial port. */
export function print(text: string): Code {
  return [...text].flatMap((letter) => writePort(0x3f8, letter.charCodeAt(0)));
}

/** Runs `code` for ever. */
export function forever(code: Code): Code {
  return [...code, ...x86.jumpBack(code.length)];
}

/** Instructions one after the other. */
export function payload(...parts: readonly Code[]): Uint8Array {
  return Uint8Array.from(parts.flat());
}
