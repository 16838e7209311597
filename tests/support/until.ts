// Waits for a condition instead of for time.

const TIMEOUT_MS = 4_000;
/** So long a condition is looked at in every turn of the event loop, then once a millisecond. */
const EAGER_MS = 5;

/** Resolves when `condition` holds; throws an error that names `what` after four seconds. */
export async function until(
  what: string,
  condition: () => boolean,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  await untilFound(what, async () => condition() || undefined, timeoutMs);
}

/** The first value that `find` gives which is not undefined, with the same bound or another. */
export async function untilFound<T>(
  what: string,
  find: () => Promise<T | undefined>,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const started = performance.now();
  while (true) {
    const found = await find();
    if (found !== undefined) return found;
    const waited = performance.now() - started;
    if (waited > timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => {
      if (waited < EAGER_MS) setImmediate(resolve);
      else setTimeout(resolve, 1);
    });
  }
}
