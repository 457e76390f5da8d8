import { describe, expect, it } from "vitest";
import { establishedPair, linkConfigs, Pair } from "../testing/pair.ts";
import type { Packet } from "../testing/lossy-link.ts";
import { SeededRandom } from "../testing/seeded-random.ts";

/** Every message of a handshake, a Child rekey, an IKE rekey and a liveness exchange. */
function record(): { readonly pair: Pair; readonly packets: readonly Packet[] } {
  const pair = establishedPair(11);
  pair.run(1_000);
  pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
  pair.run(5_000);
  pair.run(40_000);
  return { pair, packets: [...pair.link.sent] };
}

/** What an attacker's message must not move: the SAs, the policies, what the planes hold. */
function standing(pair: Pair): string {
  return JSON.stringify(
    [pair.a, pair.b].map((side) => [side.link().state, side.link().ikeSas, [...side.inbound.keys()], [...side.outbound.keys()], [...side.policies.values()]]),
    (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value),
  );
}

function inject(pair: Pair, packet: Packet, bytes: Uint8Array): void {
  const side = packet.to.address === pair.a.address ? pair.a : pair.b;
  pair.give(side, { kind: "datagram", local: packet.to, remote: packet.from, bytes });
}

function stillWorks(pair: Pair): void {
  pair.link.drops = () => false;
  pair.give(pair.b, { kind: "rekey", linkId: "link", what: "all" });
  pair.run(20_000);
  for (const side of [pair.a, pair.b]) {
    expect(side.link().state).toBe("up");
    expect(side.link().ikeSas.length).toBe(1);
    expect(side.bookkeeping).toEqual([]);
  }
}

describe("hostile messages at an established link", () => {
  it("every truncation of every message changes nothing", () => {
    const { pair, packets } = record();
    pair.link.drops = () => true;
    const before = standing(pair);
    for (const packet of packets) {
      for (let length = 0; length < packet.bytes.length; length++) inject(pair, packet, packet.bytes.slice(0, length));
    }
    expect(standing(pair)).toBe(before);
    stillWorks(pair);
  });

  it("every message played again changes nothing", () => {
    const { pair, packets } = record();
    pair.link.drops = () => true;
    const before = standing(pair);
    for (const packet of packets.filter((one) => one.index >= 2)) inject(pair, packet, packet.bytes.slice());
    expect(standing(pair)).toBe(before);
    stillWorks(pair);
  });

  it("30,000 random mutations change nothing, and half-open SAs stay below their limit", () => {
    const seed = 20260;
    const random = new SeededRandom(seed);
    const { pair, packets } = record();
    pair.link.drops = () => true;
    const before = standing(pair);
    for (let time = 0; time < 30_000; time++) {
      const packet = packets[Math.floor(random.next() * packets.length)]!;
      inject(pair, packet, mutate(packet.bytes, random));
    }
    expect(standing(pair), `seed ${seed}`).toBe(before);
    pair.run(25_000);
    stillWorks(pair);
  }, 60_000);

  it("nothing is answered to a message of an SA that is not there, or to one in the clear on one that is", () => {
    const { pair, packets } = record();
    const stranger = new Pair(5);
    stranger.give(stranger.b, { kind: "setLink", link: linkConfigs().b });
    for (const packet of packets.slice(2)) stranger.give(stranger.b, { kind: "datagram", local: packet.to, remote: packet.from, bytes: packet.bytes });
    expect(stranger.link.sent.length).toBe(0);
    const sent = pair.link.sent.length;
    const clear = packets[2]!.bytes.slice(0, 28);
    clear.set([37, 0x08], 18);
    clear[16] = 0;
    clear.set([0, 0, 0, 28], 24);
    inject(pair, packets[2]!, clear);
    expect(pair.link.sent.length).toBe(sent);
  });
});

function mutate(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const copy = bytes.slice();
  const changes = 1 + Math.floor(random.next() * 3);
  for (let change = 0; change < changes; change++) {
    const at = Math.floor(random.next() * copy.length);
    // Always another octet: what is not changed is a replay, which has a test of its own.
    copy[at] = (copy[at]! + 1 + Math.floor(random.next() * 255)) & 0xff;
  }
  return random.next() < 0.1 ? copy.slice(0, Math.floor(random.next() * copy.length)) : copy;
}
