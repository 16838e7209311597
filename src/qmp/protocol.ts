// The shapes of QMP messages: greeting, replies, errors, events (behaviour 2.1).

export const errorClasses = [
  "GenericError",
  "CommandNotFound",
  "DeviceNotActive",
  "DeviceNotFound",
  "KVMMissingCap",
  "OperationThrottled",
] as const;

export type ErrorClass = (typeof errorClasses)[number];

/** A failed command: the class for programs, the message for people. */
export class QmpError extends Error {
  override readonly name = "QmpError";
  readonly errorClass: ErrorClass;

  constructor(errorClass: ErrorClass, message: string) {
    super(message);
    this.errorClass = errorClass;
  }
}

/** The QEMU version that clients expect a StratoVirt to report, and our own. */
export function versionObject(version: string) {
  return { qemu: { micro: 1, minor: 0, major: 5 }, package: `StratoVirt-${version}` };
}

/** One message with its line end. */
function encode(message: unknown): string {
  return `${JSON.stringify(message)}\r\n`;
}

export function greeting(version: string): string {
  return encode({ QMP: { version: versionObject(version), capabilities: [] } });
}

/** `id` is echoed last, and only if the request had one. */
export function successReply(result: unknown, id: unknown): string {
  return encode(id === undefined ? { return: result } : { return: result, id });
}

export function errorReply(errorClass: ErrorClass, desc: string, id?: unknown): string {
  const error = { class: errorClass, desc };
  return encode(id === undefined ? { error } : { error, id });
}

/** An event at a time in milliseconds since 1970. */
export function eventMessage(
  name: string,
  data: Readonly<Record<string, unknown>>,
  nowMs: number,
): string {
  const seconds = Math.floor(nowMs / 1000);
  const microseconds = Math.floor((nowMs - seconds * 1000) * 1000);
  return encode({ event: name, data, timestamp: { seconds, microseconds } });
}
