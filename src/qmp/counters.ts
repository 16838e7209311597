// What a QMP socket has seen so far, for the metrics.

export interface QmpCounters {
  /** Clients that were served. */
  connections: number;
  /** Clients that were sent away because another one was there. */
  refusedConnections: number;
  commands: number;
  /** Commands that were answered with an error; also those refused by the flow limit. */
  errors: number;
  events: number;
}

export function newCounters(): QmpCounters {
  return { connections: 0, refusedConnections: 0, commands: 0, errors: 0, events: 0 };
}
