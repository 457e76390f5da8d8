import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Courier } from "../testing/courier.ts";
import type { Packet } from "../testing/lossy-link.ts";
import { linkConfigs, Pair } from "../testing/pair.ts";
import { searchMs, searchSize } from "../testing/search-size.ts";
import { settlementFaults } from "../testing/settlement.ts";

const SEARCH = searchSize(100);

const HYBRID = { both: { ikeProposals: ["aes256gcm16-prfsha384-x25519-ke1_mlkem768"], espProposals: ["aes256gcm16-x25519-ke1_mlkem768"] } };
/** IPv4's smallest datagram of 576 octets, less IP, UDP and the non-ESP marker. */
const SMALLEST = 544;

function configure(pair: Pair, overrides: Parameters<typeof linkConfigs>[0] = HYBRID): void {
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
}

function smallPair(seed: number): Pair {
  return new Pair(seed, { a: { largestMessage: SMALLEST }, b: { largestMessage: SMALLEST } });
}

/** The same keys at both ends, in both directions. */
function keyFaults(pair: Pair): string[] {
  return [
    [pair.a, pair.b],
    [pair.b, pair.a],
  ].flatMap(([from, to]) =>
    [...from!.outbound.values()]
      .filter((sa) => JSON.stringify(to!.inbound.get(sa.spi)?.keys) !== JSON.stringify(sa.keys))
      .map((sa) => `keys of ${sa.spi} differ`),
  );
}

function faultsOf(pair: Pair): string[] {
  return [...settlementFaults(pair), ...keyFaults(pair)];
}

/** Datagrams of a whole handshake: INIT 2, INTERMEDIATE 2 + 1 (its request is longer than one), AUTH 2. */
const DATAGRAMS = 7;

describe("a handshake with ML-KEM comes up although one datagram", () => {
  for (let nth = 0; nth < DATAGRAMS; nth++) {
    for (const initiate of ["respond", "start"] as const) {
      it(`${nth} is lost (b: ${initiate})`, () => {
        const pair = new Pair(nth + 1);
        pair.link.drops = (packet) => packet.index === nth;
        configure(pair, { ...HYBRID, b: { initiate } });
        expect(faultsOf(pair)).toEqual([]);
      });
    }

    it(`${nth} is lost five times in a row`, () => {
      const pair = new Pair(nth + 1);
      let lost = 0;
      let octets: string | null = null;
      pair.link.drops = (packet) => {
        if (packet.index === nth) octets = String(packet.bytes);
        return String(packet.bytes) === octets && lost++ < 5;
      };
      configure(pair);
      expect(faultsOf(pair)).toEqual([]);
    });

    it(`${nth} arrives twice`, () => {
      const pair = new Pair(nth + 1);
      deliverByHand(pair, (packet, hand) => {
        hand(packet);
        if (packet.index === nth) hand(packet);
      });
      expect(faultsOf(pair)).toEqual([]);
      expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
    });

    it(`${nth} arrives once more after each of the later ones`, () => {
      const pair = new Pair(nth + 1);
      let late: Packet | null = null;
      deliverByHand(pair, (packet, hand) => {
        hand(packet);
        // Not after the answers that it draws itself, or there would be no end.
        if (late !== null && packet.index <= nth + DATAGRAMS) hand(late);
        if (packet.index === nth) late = packet;
      });
      expect(faultsOf(pair)).toEqual([]);
      expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
    });

    it(`${nth} arrives after its retransmission has been answered`, () => {
      const pair = new Pair(nth + 1);
      let kept: Packet | null = null;
      pair.link.drops = (packet) => {
        if (packet.index === nth) kept = packet;
        return packet.index === nth;
      };
      configure(pair);
      pair.run(10_000);
      const { from, to, bytes } = kept!;
      pair.link.drops = () => false;
      pair.give(to.address === pair.a.address ? pair.a : pair.b, { kind: "datagram", local: to, remote: from, bytes });
      expect(faultsOf(pair)).toEqual([]);
    });
  }
});

/** Hands over every datagram of a handshake as `each` says. */
function deliverByHand(pair: Pair, each: (packet: Packet, hand: (packet: Packet) => void) => void): void {
  const courier = new Courier(pair);
  configure(pair);
  for (;;) {
    const [side] = [pair.a, pair.b]
      .filter((one) => courier.waiting(one).length > 0)
      .sort((x, y) => courier.waiting(x)[0]!.index - courier.waiting(y)[0]!.index);
    if (side === undefined) break;
    each(courier.keep(side), (packet) => courier.hand(packet));
  }
  courier.leave();
}

describe("IKE_INTERMEDIATE in datagrams of 576 octets", () => {
  it("goes in fragments, and IKE_AUTH covers the message as it was before they were cut", () => {
    const pair = smallPair(1);
    configure(pair);
    expect(faultsOf(pair)).toEqual([]);
    const protectedOnes = pair.link.sent.slice(2);
    expect(protectedOnes.every((packet) => packet.bytes.length <= SMALLEST)).toBe(true);
    const fragments = protectedOnes.filter((packet) => packet.bytes[18] === 43 && packet.bytes[16] === 53);
    expect(fragments.length).toBe(6);
  });

  it("interworks with a side that sends larger ones", () => {
    const pair = new Pair(2, { a: { largestMessage: SMALLEST } });
    configure(pair);
    expect(faultsOf(pair)).toEqual([]);
  });

  for (let nth = 2; nth < 8; nth++) {
    it(`comes through although fragment ${nth - 2} is lost`, () => {
      const pair = smallPair(nth);
      pair.link.drops = (packet) => packet.index === nth;
      configure(pair);
      expect(faultsOf(pair)).toEqual([]);
    });
  }

  it("comes through in any order and with every fragment twice", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const pair = smallPair(seed);
      pair.link.quality = { delayMs: 10, loss: 0, duplicate: 1, reorder: 0.7, reorderMs: 200 };
      configure(pair);
      expect(faultsOf(pair), `seed ${seed}`).toEqual([]);
    }
  });
});

const OPERATIONS = {
  rekeyChild: (pair: Pair) => pair.give(pair.a, { kind: "rekey", linkId: "link", what: "child" }),
  rekeyIke: (pair: Pair) => pair.give(pair.a, { kind: "rekey", linkId: "link", what: "ike" }),
  rekeyByResponder: (pair: Pair) => pair.give(pair.b, { kind: "rekey", linkId: "link", what: "all" }),
  reauthenticate: (pair: Pair) => pair.give(pair.a, { kind: "reauthenticate", linkId: "link" }),
  reauthenticateByResponder: (pair: Pair) => pair.give(pair.b, { kind: "reauthenticate", linkId: "link" }),
} as const;

describe("a path with 20 % loss, reordering and duplication, and ML-KEM in every exchange", () => {
  it(
    "both ends converge to the same SAs whatever they begin at once",
    () => {
      const operation = fc.constantFrom(...Object.values(OPERATIONS));
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 2 ** 30 }),
          fc.constantFrom("start" as const, "respond" as const),
          fc.array(fc.tuple(operation, fc.integer({ min: 0, max: 3_000 })), { maxLength: 6 }),
          (seed, initiate, steps) => {
            const pair = smallPair(seed);
            pair.link.quality = { delayMs: 20, loss: 0.2, duplicate: 0.2, reorder: 0.3, reorderMs: 300 };
            configure(pair, { both: { ...HYBRID.both, livenessMs: 20_000 }, b: { initiate } });
            for (const [operate, pause] of steps) {
              pair.run(pause);
              operate(pair);
            }
            // The line gets better, as lines do; what was begun has to come to its end.
            pair.run(60_000);
            pair.link.quality = { delayMs: 20, loss: 0, duplicate: 0, reorder: 0.3, reorderMs: 300 };
            expect(faultsOf(pair)).toEqual([]);
          },
        ),
        SEARCH,
      );
    },
    searchMs(SEARCH),
  );
});
