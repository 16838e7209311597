// Wakes JavaScript when the data plane has news: reads the doorbell's socket and hands over all
// news at once.

import type { UnixSocketOptions } from "bun";
import { News } from "./abi.gen.ts";
import type { Core } from "./core.ts";

export type NewsName = keyof typeof News;

export interface Doorbell {
  close(): void;
}

/** Calls `onNews` in the event loop with what happened since the last time. */
export async function listenToDoorbell(
  core: Core,
  onNews: (names: readonly NewsName[]) => void,
): Promise<Doorbell> {
  const options = {
    fd: core.takeDoorbellFd(),
    socket: {
      data() {
        const { bits } = core.takeNews();
        const names = Object.entries(News).filter(([, bit]) => (bits & (1 << bit)) !== 0);
        if (names.length > 0) onNews(names.map(([name]) => name as NewsName));
      },
    },
  };
  // Bun's types do not know `fd` here; its runtime does.
  const socket = await Bun.connect(options as unknown as UnixSocketOptions);
  return { close: () => socket.terminate() };
}
