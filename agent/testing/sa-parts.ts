import type { Arena } from "../dataplane/ffi/arena.ts";
import { noRawSockets } from "../dataplane/ffi/raw-socket.ts";
import { CounterTable } from "../dataplane/tun/counters.ts";
import type { SaParts } from "../dataplane/tun/sa-parts.ts";

/** What a test makes SAs with where there is no worker: each packet is sealed and opened by itself, and no raw sockets, unless told. */
export function partsIn(arena: Arena, others: Partial<SaParts> = {}): SaParts {
  return { arena, counters: CounterTable.ofRows(4), batch: null, raw: noRawSockets, ...others };
}
