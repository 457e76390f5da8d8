import { afterEach, expect, test } from "vitest";
import type { InboundSa } from "../../ipsec/security-association.ts";
import { parseSelector } from "../../ipsec/traffic-selector.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { Arena } from "../ffi/arena.ts";
import { SOCKADDR_OCTETS, writeSockaddr } from "../ffi/udp-socket.ts";
import { closeReceiveSa, followPeer, isFromPeer, makeReceiveSa, type ReceiveSa } from "./inbound-sa.ts";

const arena = new Arena(1 << 20);
const nameAt = arena.allocate(SOCKADDR_OCTETS);
let sa: ReceiveSa | null = null;

function make(encapsulation: "udp" | "none" = "udp"): ReceiveSa {
  const networks = { localSelectors: [parseSelector("10.1.0.0/24")], remoteSelectors: [parseSelector("10.2.0.0/24")] };
  const order: InboundSa = { ...usualSa, ...networks, direction: "inbound", encapsulation, replayWindowPackets: 64 };
  const esp = [1, null] as const;
  sa = makeReceiveSa(partsIn(arena, { raw: { esp, ah: [null, null], headedIpv6: null } }), order, 1, 1_500);
  return sa;
}

afterEach(() => {
  if (sa !== null) closeReceiveSa(arena, sa);
});

test("a peer that moves to and fro is followed four times a second, and the last place at the next packet that may", () => {
  const moving = make();
  const from = (port: number, now: number) => {
    writeSockaddr(arena, nameAt, { address: "192.0.2.2", port });
    return isFromPeer(arena, moving, nameAt) ? "there" : followPeer(arena, moving, nameAt, now);
  };
  const moves = Array.from({ length: 6 }, (_, index) => from(5_000 + index, 100));
  expect(moves).toEqual([...[5_000, 5_001, 5_002, 5_003].map((port) => ({ address: "192.0.2.2", port })), null, null]);
  // It stays where it was last told to be, and who is there need not be asked about.
  expect(from(5_003, 200)).toBe("there");
  expect(from(5_009, 1_099)).toBeNull();
  expect(from(5_009, 1_100)).toEqual({ address: "192.0.2.2", port: 5_009 });
  expect(from(5_009, 1_100)).toBe("there");
});

test("what did not come in UDP moves nothing", () => {
  writeSockaddr(arena, nameAt, { address: "192.0.2.9", port: 4_500 });
  expect(followPeer(arena, make("none"), nameAt, 0)).toBeNull();
  writeSockaddr(arena, nameAt, { address: "192.0.2.9", port: 0 });
  expect(followPeer(arena, make(), nameAt, 0)).toBeNull();
});
