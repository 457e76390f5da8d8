import { describe, expect, it, vi } from "vitest";
import type { InboundSa } from "../../ipsec/security-association.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { staticKeys } from "../../testing/static-keys.ts";
import { Encr, Integ } from "../../wire/iana.ts";
import { Arena } from "../ffi/arena.ts";
import { makeReceiveSa, MOST_RECEIVE_OCTETS } from "./inbound-sa.ts";
import { makeTransmitSa, MOST_TRANSMIT_OCTETS } from "./outbound-sa.ts";
import type { SaParts } from "./sa-parts.ts";

// As on a processor whose expanded keys are the longest, which this one need not be.
vi.mock(import("../ffi/gcm-library.ts"), async (load) => {
  const real = await load();
  return { ...real, gcmLibrary: () => ({ ...real.gcmLibrary()!, expandedOctets: real.MOST_EXPANDED_OCTETS }) };
});

const { spi } = usualSa;
const noKey = new Uint8Array(0);
const hmac = { salt: noKey, integ: Integ.HMAC_SHA2_256_128, integrityKey: new Uint8Array(32) };
const common: Omit<InboundSa, "direction" | "keys"> = {
  ...usualSa,
  replayWindowPackets: 4_096,
  local: { address: "fd00::1", port: 4_500 },
  remote: { address: "fd00::2", port: 4_500 },
  localSelectors: [],
  remoteSelectors: [],
};
const kinds = [
  { name: "AES-GCM", keys: staticKeys("aes256gcm16", spi) },
  { name: "ChaCha20-Poly1305", keys: staticKeys("chacha20poly1305", spi) },
  { name: "CBC with HMAC", keys: { ...hmac, encr: Encr.AES_CBC, encryptionKey: new Uint8Array(32) } },
  { name: "AH", keys: { ...hmac, encr: Encr.NULL, encryptionKey: noKey }, encapsulation: "none", protocol: "ah" },
] as const;

/** What `make` takes of an arena. */
function takenBy(make: (parts: SaParts) => unknown): number {
  const arena = new Arena(1 << 20);
  const allocated = vi.spyOn(arena, "allocate");
  make(partsIn(arena, { raw: { esp: [5, 6], ah: [7, 8], headedIpv6: 9 } }));
  return allocated.mock.calls.reduce((sum, [octets]) => sum + Arena.sizeOf(octets), 0);
}

describe("the room for SAs in an arena", () => {
  const sent = kinds.map((kind) => takenBy((parts) => makeTransmitSa(parts, { ...common, ...kind, direction: "outbound" }, 1, 1_500)));
  const received = kinds.map((kind) => takenBy((parts) => makeReceiveSa(parts, { ...common, ...kind, direction: "inbound" }, 1, 1_500)));

  it("is what the largest takes: over IPv6, with the largest window and the longest expanded key", () => {
    expect(Math.max(...sent)).toBe(MOST_TRANSMIT_OCTETS);
    expect(Math.max(...received)).toBe(MOST_RECEIVE_OCTETS);
  });
});
