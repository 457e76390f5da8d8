import { expect, test } from "vitest";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { usualSa } from "../../testing/sa-parts.ts";
import { staticKeys } from "../../testing/static-keys.ts";
import { readU16 } from "../../wire/octets.ts";
import { Arena } from "../ffi/arena.ts";
import { closeAhSealing, makeAhSealing, sealWithAh } from "./ah-sealing.ts";

const arena = new Arena(1 << 20);
const at = arena.allocate(256);
const order: OutboundSa = { ...usualSa, direction: "outbound", protocol: "ah", encapsulation: "none", keys: staticKeys("ah-sha256", usualSa.spi) };

/** The identifications of the first packets of an SA, or of one worker's share of it. */
function identifications(packets: number): number[] {
  const ah = makeAhSealing(arena, order, Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2));
  const numbers = Array.from({ length: packets }, (_, index) => {
    sealWithAh(arena, ah, at, at + ah.frontOctets + 40, order.spi, index + 1, 0, 4, 0);
    return readU16(arena.bytes, at + 4);
  });
  closeAhSealing(arena, ah);
  return numbers;
}

test("identifications over IPv4 begin anywhere, follow each other, and are never the zero that the kernel replaces", () => {
  const firsts = new Set(Array.from({ length: 8 }, () => identifications(1)[0]));
  // One chance of 2^112 that all are the same.
  expect(firsts.size).toBeGreaterThan(1);
  const all = identifications(0x1_0001);
  expect(all).not.toContain(0);
  for (let index = 1; index < all.length; index++) expect(all[index]).toBe((all[index - 1]! % 0xffff) + 1);
});
