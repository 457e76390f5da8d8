import type { AeadBatch } from "../ffi/aead-batch.ts";
import type { Arena } from "../ffi/arena.ts";
import type { RawSockets } from "../ffi/raw-socket.ts";
import type { CounterTable } from "./counters.ts";

/** What a worker makes its SAs with. */
export interface SaParts {
  readonly arena: Arena;
  readonly counters: CounterTable;
  /** Where packets wait to be sealed or opened together; null: each goes by itself. */
  readonly batch: AeadBatch | null;
  readonly raw: RawSockets;
}

/** Makes an SA for which there is room of so many octets at `at`; when it cannot be made, the room is given back. */
export function withRoom<Sa>(arena: Arena, octets: number, make: (at: number) => Sa): Sa {
  const at = arena.allocate(octets);
  try {
    return make(at);
  } catch (error) {
    arena.free(at, octets);
    throw error;
  }
}
