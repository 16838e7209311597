// Splits Zig text into tokens: enough of its grammar to find declarations, functions and their ends
// (language reference, "Grammar").

export type TokenKind = "word" | "builtin" | "string" | "number" | "comment" | "sign";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
}

const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["comment", /\/\/[^\n]*/y],
  ["string", /\\\\[^\n]*/y],
  ["string", /"(?:\\.|[^"\\\n])*"/y],
  ["string", /'(?:\\.[^']*|[^'\\\n])'/y],
  ["word", /@"(?:\\.|[^"\\\n])*"/y],
  ["builtin", /@[A-Za-z_]\w*/y],
  ["number", /\d\w*/y],
  ["word", /[A-Za-z_]\w*/y],
  ["sign", /\S/y],
];

/** Every token with its line, which counts from 1; blanks are left out. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  let line = 1;
  while (position < text.length) {
    const found = firstMatch(text, position);
    if (found === undefined) {
      if (text[position] === "\n") line += 1;
      position += 1;
      continue;
    }
    tokens.push({ ...found, line });
    position += found.text.length;
  }
  return tokens;
}

function firstMatch(text: string, position: number): Omit<Token, "line"> | undefined {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match !== null) return { kind, text: match[0] };
  }
  return undefined;
}
