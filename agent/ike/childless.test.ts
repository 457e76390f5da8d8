import { describe, expect, it } from "vitest";
import { linkConfigs, Pair } from "../testing/pair.ts";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import type { LinkConfig } from "./endpoint-types.ts";

const children = (side: "a" | "b"): LinkConfig["children"] =>
  [1, 2].map((n) => {
    const [a, b] = [[fromPrefix(`10.1.${n}.0/24`)], [fromPrefix(`10.2.${n}.0/24`)]];
    return { name: `net${n}`, localSelectors: side === "a" ? a : b, remoteSelectors: side === "a" ? b : a };
  });

function begin(own: Partial<LinkConfig>, prepare: (pair: Pair) => void = () => undefined): Pair {
  const pair = new Pair(17);
  const configs = linkConfigs({ a: { ...own, children: children("a") }, b: { children: children("b") } });
  prepare(pair);
  pair.give(pair.b, { kind: "setLink", link: { ...configs.b, initiate: "respond" } });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  return pair;
}

const requests = (pair: Pair) => pair.a.trace.filter((entry) => entry.direction === "sent").map((entry) => entry.summary);

describe("a childless IKE SA (RFC 6023)", () => {
  it("is authenticated without a Child SA, and all of them follow at once", () => {
    const pair = begin({ childless: true });
    pair.run(500);
    const [, auth, ...others] = requests(pair);
    expect(auth).toMatch(/^IKE_AUTH request 1: IDi .*AUTH$/);
    expect(others.map((one) => one.split(" ")[0])).toEqual(["CREATE_CHILD_SA", "CREATE_CHILD_SA"]);
    expect([pair.a.link().state, pair.b.link().state, pair.a.inbound.size, pair.b.inbound.size]).toEqual(["up", "up", 2, 2]);
    expect([...pair.a.failures(), ...pair.b.failures(), ...pair.a.bookkeeping, ...pair.b.bookkeeping]).toEqual([]);
  });

  it("is not asked of a responder that has not said that it takes one", () => {
    const pair = begin({ childless: true }, (made) => {
      // As an older peer answers: without the notify, 16418 with its header of eight octets.
      const answer = made.link.send.bind(made.link);
      made.link.send = (from, to, bytes, now) => answer(from, to, withoutNotify(bytes), now);
    });
    pair.run(900);
    expect(requests(pair)[1]).toMatch(/^IKE_AUTH request 1: .*AUTH SA TSi TSr$/);
  });

  it("is announced by the responder alone, and is not begun unless the link says so", () => {
    const pair = begin({});
    pair.run(500);
    expect(requests(pair)[0]).not.toContain("CHILDLESS");
    expect(pair.b.trace.find((entry) => entry.summary.startsWith("IKE_SA_INIT response"))?.summary).toContain("N(CHILDLESS_IKEV2_SUPPORTED)");
    expect(requests(pair)[1]).toContain("SA TSi TSr");
  });

  it("on demand makes every Child SA of the link, not only one", () => {
    for (const childless of [true, false]) {
      const pair = begin({ childless, initiate: "onDemand" });
      pair.give(pair.a, { kind: "acquire", policyId: "link/net2" });
      pair.run(900);
      expect([pair.a.inbound.size, pair.b.inbound.size]).toEqual([2, 2]);
    }
  });
});

/** The notify is the last payload of the answer; the one before it points at none. */
function withoutNotify(bytes: Uint8Array): Uint8Array {
  const at = bytes.length - 8;
  if (bytes[18] !== 34 || (bytes[19]! & 0x20) === 0 || bytes[at + 6] !== 0x40 || bytes[at + 7] !== 0x22) return bytes;
  const shorter = bytes.slice(0, at);
  let payload = 28;
  while (payload + ((shorter[payload + 2]! << 8) | shorter[payload + 3]!) < at) payload += (shorter[payload + 2]! << 8) | shorter[payload + 3]!;
  shorter[payload] = 0;
  new DataView(shorter.buffer).setUint32(24, shorter.length);
  return shorter;
}
