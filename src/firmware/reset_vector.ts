// The real-mode reset vector at F000:FFF0. Linux jumps there to reboot when ACPI is hardware-
// reduced and there is no EFI (reboot type BIOS): without code there it would run zeroes for ever.

import type { MemoryBlob } from "./byte_writer.ts";

const ADDRESS = 0xf_fff0;
/** mov al, 0xfe; out 0x64, al (the keyboard controller pulses the reset line); hlt; jmp to hlt. */
const CODE = [0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd] as const;

/** The code, in memory that the memory map reserves for firmware. */
export function resetVector(): MemoryBlob {
  return { name: "reset vector", address: ADDRESS, bytes: Uint8Array.from(CODE) };
}
