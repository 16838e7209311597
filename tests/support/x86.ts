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
  /** rdtsc; shl rdx, 32; or rax, rdx; add rax, value */
  readTscAndAdd: (value: number): Code => [
    ...[0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0],
    ...[0x48, 0x05, ...doubleWord(value)],
  ],
  /** mov rdx, rax; shr rdx, 32; wrmsr: rax to the register ecx. */
  writeMsrFromRax: [0x48, 0x89, 0xc2, 0x48, 0xc1, 0xea, 0x20, 0x0f, 0x30] as Code,
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
  /** inc dword [rdi] */
  increment32: [0xff, 0x07] as Code,
  /** inc word [rdi] */
  incrementWord: [0x66, 0xff, 0x07] as Code,
  /** mov ecx, eax */
  movEcxEax: [0x89, 0xc1] as Code,
  /** cmp word [rdi], cx */
  compareWordWithCx: [0x66, 0x39, 0x0f] as Code,
  /** rdtsc; shl rdx, 32; or rax, rdx; shr rax, 16: the time in 2^16 ticks. */
  readTime: [
    ...[0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20],
    ...[0x48, 0x09, 0xd0, 0x48, 0xc1, 0xe8, 0x10],
  ] as Code,
  /** mov esi, eax */
  keepTime: [0x89, 0xc6] as Code,
  /** xchg esi, eax; neg eax; add eax, esi: eax minus what was kept, which eax is then. */
  subtractKeptTime: [0x96, 0xf7, 0xd8, 0x01, 0xf0] as Code,
  /** cmp eax, [rdi]; jbe over the next; mov [rdi], eax */
  storeEaxIfAbove: [0x3b, 0x07, 0x76, 0x02, 0x89, 0x07] as Code,
  /** pause */
  pause: [0xf3, 0x90] as Code,
  /** je back over `length` bytes that end before it */
  jumpBackIfEqual: (length: number): Code => [0x74, (-length - 2) & 0xff],
  /** jne back over `length` bytes that end before it */
  jumpBackIfNotEqual: (length: number): Code => [0x75, (-length - 2) & 0xff],
  /** jmp back over `length` bytes that end before it */
  jumpBack: (length: number): Code => [0xeb, (-length - 2) & 0xff],
  /** the same over more than a hundred bytes */
  jumpFarBack: (length: number): Code => [0xe9, ...doubleWord(-length - 5)],
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

/** Runs `code` for ever; "far" where it has more than a hundred bytes. */
export function forever(code: Code, distance: "near" | "far" = "near"): Code {
  const jump = distance === "near" ? x86.jumpBack : x86.jumpFarBack;
  return [...code, ...jump(code.length)];
}

/** Instructions one after the other. */
export function payload(...parts: readonly Code[]): Uint8Array {
  return Uint8Array.from(parts.flat());
}
