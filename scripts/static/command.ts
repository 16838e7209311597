// Runs the tools of the build: their output appears only when they fail.

/** Extra variables for a tool's environment. */
export type Variables = Readonly<Record<string, string>>;

/** Runs `command` in `folder`; an error with `purpose` and the tool's own words when it fails. */
export function run(
  command: readonly string[],
  options: { purpose: string; folder: string; variables?: Variables },
): void {
  const result = Bun.spawnSync([...command], {
    cwd: options.folder,
    env: { ...process.env, ...options.variables },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (result.exitCode === 0) return;
  const words = `${result.stderr}${result.stdout}`.trim();
  throw new Error(
    `Could not ${options.purpose} (${command[0]} exited with ${result.exitCode}).\n${words}`,
  );
}
