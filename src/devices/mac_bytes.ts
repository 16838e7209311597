// A MAC address as devices hold it.

/** The six bytes of a MAC address as text. */
export function macBytes(address: string): Uint8Array {
  return Uint8Array.from(address.split(":"), (byte) => Number.parseInt(byte, 16));
}
