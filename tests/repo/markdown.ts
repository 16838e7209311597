// What a document promises: the paths it names, and the commands it shows.

/** Text between backticks, outside of blocks of code. */
export function codeSpans(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/`([^`]+)`/g)].map((found) => (found[1] ?? "").replace(/\s+/g, " "));
}

/** Command lines of the blocks of shell code, with continued lines joined. */
export function shellCommands(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```sh\n([\s\S]*?)^```/gm)];
  return blocks
    .flatMap(([, text = ""]) => text.replace(/\\\n\s*/g, "").split("\n"))
    .map((line) => line.replace(/ #.*/, "").trim())
    .filter((line) => line !== "");
}

/** The words of a command line; double quotes keep blanks. */
export function shellWords(command: string): string[] {
  return [...command.matchAll(/(?:"[^"]*"|[^\s"])+/g)].map(([word]) => word.replaceAll('"', ""));
}

/**
 * Words that are paths of this project. Those with a NAME to fill in are not, and `dist` is made.
 */
export function projectPaths(text: string): string[] {
  const words = text.match(/(?<![\w/.-])\.?[\w-]+(?:\/[\w.-]+)*\/?/g) ?? [];
  const tops =
    /^(src|zig|scripts|tests|seccomp-profiles|\.ci)\/|\.(md|json|toml|zig|ts)$|^LICENSE$/;
  return words.filter((word) => tops.test(word) && !word.includes("NAME"));
}
