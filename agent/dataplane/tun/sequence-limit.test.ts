import { describe, expect, test } from "vitest";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { espSequence } from "../../wire/esp.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { Arena } from "../ffi/arena.ts";
import { CounterTable } from "./counters.ts";
import { makeTransmitSa, type TransmitSa } from "./outbound-sa.ts";
import { reserveInner, sealInner } from "./seal-packet.ts";
import { TransmitBatch } from "./transmit-batch.ts";

const TWO_32 = 2 ** 32;
const INNER_OCTETS = 20;

function outbound(extendedSequenceNumbers: boolean): OutboundSa {
  return { ...usualSa, direction: "outbound", extendedSequenceNumbers };
}

/** An SA that has sent so many packets, and what seals one more: its number on the wire, and what limit it has reached; null when nothing was sealed. */
function sendingSa(extended: boolean, sent: number) {
  const arena = new Arena(8 << 20);
  const counters = CounterTable.ofRows(2);
  const sa: TransmitSa = makeTransmitSa(partsIn(arena, { counters }), outbound(extended), 1, 1_500, sent);
  // Nothing is sent here: the batch only has room for what is sealed.
  const batch = new TransmitBatch(arena, [-1, null], counters, null);
  const sealOne = () => {
    const at = reserveInner(batch, sa, INNER_OCTETS);
    arena.bytes[at] = 0x45;
    if (counters.isOver(sa.row) || !sealInner(arena, batch, sa, at, INNER_OCTETS, 4)) return null;
    const reached = counters.use(sa.row, INNER_OCTETS, 0) ? sa.lifetime.advance(performance.now()) : null;
    return { number: espSequence(arena.bytes, at - 8 - sa.transform!.ivOctets), reached };
  };
  return { sa, sealOne };
}

describe("the sequence numbers of an outbound SA", () => {
  test("are used up to 2^32 - 1 without extended ones, and then nothing more is sealed", () => {
    const { sa, sealOne } = sendingSa(false, TWO_32 - 4);
    expect([sealOne(), sealOne(), sealOne(), sealOne(), sealOne()]).toEqual([
      { number: TWO_32 - 3, reached: "soft" },
      { number: TWO_32 - 2, reached: null },
      { number: TWO_32 - 1, reached: "hard" },
      null,
      null,
    ]);
    expect(sa.sequence).toBe(TWO_32 - 1);
  });

  test("ask for a rekey when nine tenths of them are used, with hundreds of millions left", () => {
    const { sealOne } = sendingSa(false, Math.floor(0.9 * TWO_32) - 2);
    const reached = Array.from({ length: 4 }, () => sealOne()?.reached);
    expect(reached.filter((limit) => limit === "soft")).toHaveLength(1);
    expect(reached).not.toContain("hard");
  });

  test("go on behind 2^32 with extended ones", () => {
    const { sa, sealOne } = sendingSa(true, TWO_32 - 2);
    expect([sealOne(), sealOne(), sealOne()]).toEqual([
      { number: TWO_32 - 1, reached: null },
      { number: 0, reached: null },
      { number: 1, reached: null },
    ]);
    expect(sa.sequence).toBe(TWO_32 + 1);
  });
});
