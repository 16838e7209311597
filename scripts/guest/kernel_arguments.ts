// The guest's kernel command line: what makes it boot fast, and the hooks that its init knows.

export type AfterScript = "poweroff" | "reboot" | "halt" | "panic" | "shell" | "triple fault";

export interface KernelArguments {
  /**
   * A shell script that runs in place of a shell, with the root mounted; about 1,200 bytes at
   * most.
   */
  script?: string;
  /** What comes after the script: power off when not given. */
  after?: AfterScript;
  /** More drivers than the virtio devices found ask for. */
  modules?: string[];
  /** Further words. */
  more?: string;
}

/** Quiet, and without the checks and waits that cost most under emulation. */
export const fastArguments =
  "console=ttyS0 quiet nokaslr mitigations=off no_timer_check tsc=reliable " +
  "random.trust_cpu=on cryptomgr.notests panic=-1";

/** The command line for a boot of the guest images. */
export function kernelArguments(options: KernelArguments = {}): string {
  const words = [fastArguments];
  if (options.modules !== undefined) words.push(`sv.modules=${options.modules.join()}`);
  if (options.script !== undefined) {
    words.push(`sv.script=${Buffer.from(options.script).toString("base64")}`);
  }
  // reboot=t: the kernel reboots by a triple fault (admin-guide/kernel-parameters)
  if (options.after === "triple fault") words.push("sv.after=reboot reboot=t");
  else if (options.after !== undefined) words.push(`sv.after=${options.after}`);
  if (options.more !== undefined) words.push(options.more);
  return words.join(" ");
}
