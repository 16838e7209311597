// The nearest known word to a mistyped one.

import { distance } from "fastest-levenshtein";

function normalise(word: string): string {
  return word.toLowerCase().replaceAll("_", "-");
}

/** The known word that a person probably meant, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = normalise(word);
  // A word of one letter is as near to any other, so that it only matches itself.
  const limit = Math.min(3, wanted.length - 1, Math.ceil(wanted.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of known) {
    const d = distance(wanted, normalise(candidate));
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** " Did you mean 'X'?" or the given sentence when nothing is near; starts with a space. */
export function didYouMean(word: string, known: readonly string[], otherwise = ""): string {
  const found = nearest(word, known);
  if (found !== undefined) return ` Did you mean '${found}'?`;
  return otherwise === "" ? "" : ` ${otherwise}`;
}

/** "a, b or c" for sentences. */
export function orList(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}
