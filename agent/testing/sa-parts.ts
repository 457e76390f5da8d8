import type { Arena } from "../dataplane/ffi/arena.ts";
import { noRawSockets } from "../dataplane/ffi/raw-socket.ts";
import { CounterTable } from "../dataplane/tun/counters.ts";
import type { SaParts } from "../dataplane/tun/sa-parts.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { staticKeys } from "./static-keys.ts";

const spi = 0x1234 as EspSpi;

/** What SAs of both directions have in common, as the data plane is given them: ESP of AES-GCM in UDP. */
export const usualSa = {
  childSaId: "c",
  spi,
  keys: staticKeys("aes128gcm16", spi),
  extendedSequenceNumbers: false,
  protocol: "esp",
  mode: "tunnel",
  local: { address: "192.0.2.1", port: 4_500 },
  remote: { address: "192.0.2.2", port: 4_500 },
  encapsulation: "udp",
} as const;

/** What a test makes SAs with where there is no worker: each packet is sealed and opened by itself, and no raw sockets, unless told. */
export function partsIn(arena: Arena, others: Partial<SaParts> = {}): SaParts {
  return { arena, counters: CounterTable.ofRows(4), batch: null, raw: noRawSockets, ...others };
}
