// stratovirt completion: a few lines for each shell, which ask this program for the words, so that
// they never differ from the options that it has.

import { UserError } from "../errors.ts";
import { didYouMean } from "../options/suggest.ts";
import { candidates } from "./candidates.ts";
import { toolNames } from "./tools.ts";

// bash itself splits words at "=" and ":", so that what stands before the last of them is kept.
const bash = `# bash completion of stratovirt: source <(stratovirt completion bash)
_stratovirt() {
  local -a typed found
  local line="\${COMP_LINE:0:COMP_POINT}"
  read -ra typed <<<"$line"
  [[ $line == *[[:space:]] ]] && typed+=("")
  mapfile -t found < <("\${typed[0]}" completion words -- "\${typed[@]:1}" 2>/dev/null)
  local current="\${typed[-1]}"
  local kept="\${current%"\${current##*[=:]}"}"
  COMPREPLY=("\${found[@]#"$kept"}")
  [[ \${#found[@]} -eq 1 && \${found[0]} == *= ]] && compopt -o nospace
}
complete -o bashdefault -o default -F _stratovirt stratovirt`;

const zsh = `#compdef stratovirt
# zsh completion of stratovirt: source <(stratovirt completion zsh)
_stratovirt() {
  local -a found
  found=("\${(@f)$("\${words[1]}" completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then
    compadd -Q -S '' -- "\${found[@]}"
  else
    _files
  fi
}
compdef _stratovirt stratovirt`;

const fish = `# fish completion of stratovirt: stratovirt completion fish | source
function __stratovirt_words
    set -l typed (commandline -opc)
    set -l found ($typed[1] completion words -- $typed[2..] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c stratovirt -f -a '(__stratovirt_words)'`;

const scripts: ReadonlyMap<string, string> = new Map([
  ["bash", bash],
  ["zsh", zsh],
  ["fish", fish],
]);

/** The script of a shell, or with `words -- WORD…` what may stand in place of the last word. */
export function completion(argv: readonly string[]): string {
  const [shell = ""] = argv;
  if (shell === "words") return candidates(argv.slice(2), toolNames).join("\n");
  const script = scripts.get(shell);
  if (script !== undefined) return script;
  const known = [...scripts.keys()];
  const hint = didYouMean(shell, known, `Use ${known.join(", ")}.`);
  throw new UserError(`There is no completion for the shell '${shell}'.${hint}`);
}
