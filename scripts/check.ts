// bun run check: are generated files fresh, types right, and everything formatted? All parts run at
// once; the exit code is 1 when one of them finds something.

import { messageOf } from "../src/errors.ts";
import { type Part, parts } from "./check/parts.ts";

/** Runs one part and prints its result; whether all was right. */
async function isRight({ name, run }: Part): Promise<boolean> {
  const startedAt = performance.now();
  const [word, text] = await run().then(
    (found) => ["ok", found] as const,
    (error: unknown) => ["FAILED", messageOf(error)] as const,
  );
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const [first, ...more] = text.split("\n");
  const head = `${word.padEnd(7)} ${name.padEnd(11)} ${seconds.padStart(5)} s  ${first}`;
  console.log([head, ...more.map((line) => `        ${line}`)].join("\n"));
  return word === "ok";
}

const results = await Promise.all(parts.map(isRight));
process.exit(results.every((right) => right) ? 0 : 1);
