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

/** One message with its line end; an id, which is JSON already, comes last. */
function encode(message: object, id?: string): string {
  const text = JSON.stringify(message);
  return id === undefined ? `${text}\r\n` : `${text.slice(0, -1)},"id":${id}}\r\n`;
}

export function greeting(version: string): string {
  return encode({ QMP: { version: versionObject(version), capabilities: [] } });
}

/** `id` is the JSON of the request's, if it had one. */
export function successReply(result: unknown, id?: string): string {
  return encode({ return: result }, id);
}

export function errorReply(errorClass: ErrorClass, desc: string, id?: string): string {
  return encode({ error: { class: errorClass, desc } }, id);
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
