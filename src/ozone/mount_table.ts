// Reads /proc/self/mountinfo (proc_pid_mountinfo(5)).

import { readFileSync } from "node:fs";

export interface Mount {
  readonly target: string;
  readonly type: string;
  /** Options of the super block: for cgroup v1 they name its controllers. */
  readonly options: readonly string[];
}

/** Blanks, tabs, line feeds and backslashes are written in octal. */
function decodeOctal(written: string): string {
  return written.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function parseLine(line: string): Mount | undefined {
  const [head = "", tail = ""] = line.split(" - ", 2);
  const target = head.split(" ")[4];
  const [type = "", , options = ""] = tail.split(" ");
  if (target === undefined || type === "") return undefined;
  return { target: decodeOctal(target), type, options: options.split(",") };
}

/** The mounts in their order; a later one covers an earlier one. */
export function parseMounts(text: string): Mount[] {
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

/** The mounts that this thread sees. */
export function readMounts(): Mount[] {
  return parseMounts(readFileSync("/proc/thread-self/mountinfo", "latin1"));
}

/** Whether `path` is `folder` or below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
