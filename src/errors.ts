// Errors that reach a person: one sentence naming the thing, the value and what would be right.

/**
 * A mistake in what the user asked for, or a host that lacks what was asked: printed without a
 * stack, exit code 1.
 */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** The sentence for a person, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why nobody can listen at a place, by the error's name, to follow a colon. */
export function listenFault(code: string): string {
  switch (code) {
    case "ENOENT":
      return "its folder does not exist";
    case "ENOTDIR":
      return "it lies below a file, not a folder";
    case "EACCES":
    case "EPERM":
      return `user ${process.getuid?.() ?? "?"} may not; choose another or change permissions`;
    case "EROFS":
      return "its file system is read-only";
    case "EADDRINUSE":
      return "another process has it";
    case "EADDRNOTAVAIL":
      return "this host has no such address";
    default:
      return code;
  }
}

/** "ENOENT" and the like of a system call that failed; the error as text where it has no code. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
