import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bigIntToAddress } from "../wire/address.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { makeIpPacketView, readIpPacket } from "../wire/ip.ts";
import { lifetimeState, sequenceNumberLimit, softLifetime } from "./lifetime.ts";
import { compileSelectors, matchesPacket } from "./packet-match.ts";
import { OutboundSpd } from "./spd.ts";
import {
  contains,
  formatSelector,
  fromPrefix,
  fromWire,
  intersect,
  narrow,
  parseSelector,
  toPrefix,
  toWire,
  type TrafficSelector,
} from "./traffic-selector.ts";

const range = (maximum: number) => fc.tuple(fc.nat(maximum), fc.nat(maximum)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
/** Few addresses, protocols and ports, so that the naive model can try all packets. */
const small: fc.Arbitrary<TrafficSelector> = fc
  .record({
    addresses: range(8),
    ports: fc.oneof(range(3), fc.constant([0, 65535] as const), fc.constant([65535, 0] as const)),
    ipProtocol: fc.constantFrom(0, 6, 17),
    family: fc.constantFrom(4 as const, 6 as const),
  })
  .map(({ addresses, ports, ipProtocol, family }) => ({
    family,
    ipProtocol,
    startPort: ports[0],
    endPort: ports[1],
    startAddress: BigInt(addresses[0]),
    endAddress: BigInt(addresses[1]),
  }));

/** The definition of RFC 4301 §4.4.1.1 word for word. Port -1: none visible. */
function naiveMatch(selector: TrafficSelector, family: number, address: number, protocol: number, port: number): boolean {
  if (selector.family !== family || address < selector.startAddress || address > selector.endAddress) return false;
  if (selector.ipProtocol !== 0 && selector.ipProtocol !== protocol) return false;
  if (selector.startPort === 0 && selector.endPort === 65535) return true;
  if (selector.startPort === 65535 && selector.endPort === 0) return port === -1;
  return port !== -1 && port >= selector.startPort && port <= selector.endPort;
}

function* allPackets(): Generator<[number, number, number, number]> {
  for (const family of [4, 6])
    for (let address = 0; address < 9; address++)
      for (const protocol of [1, 6, 17]) for (const port of [-1, 0, 1, 2, 3, 4]) yield [family, address, protocol, port];
}

describe("traffic selectors", () => {
  it.each([
    "10.0.0.0/24",
    "0.0.0.0/0",
    "192.0.2.1/32",
    "2001:db8::/32",
    "::/0",
    "10.0.0.5-10.0.0.9",
    "10.0.0.0/24[tcp/80]",
    "10.0.0.0/24[udp]",
    "10.0.0.0/24[any/1000-2000]",
    "10.0.0.0/24[tcp/opaque]",
    "::1/128[47]",
  ])("reads and prints %s", (text) => expect(formatSelector(parseSelector(text))).toBe(text));

  it.each([
    "10.0.0.1/24",
    "10.0.0.0/33",
    "10.0.0.0/024",
    "10.0.0/24",
    "::1/129",
    "10.0.0.9-10.0.0.5",
    "10.0.0.1-::1",
    "10.0.0.0/24[tcp/70000]",
    "10.0.0.0/24[foo]",
    "10.0.0.0/24[tcp/9-8]",
    "10.0.0.0/24[tcp",
  ])("refuses %s with a sentence", (text) => expect(() => parseSelector(text)).toThrow(RangeError));

  it("names the network in the error for host bits", () => expect(() => fromPrefix("10.0.0.1/24")).toThrow("10.0.0.0/24"));

  it("keeps any selector through text and wire", () => {
    fc.assert(
      fc.property(small, (selector) => {
        expect(parseSelector(formatSelector(selector))).toEqual(selector);
        expect(fromWire(toWire(selector))).toEqual(selector);
      }),
    );
  });

  it("has no prefix for a range that is none", () => {
    expect(toPrefix(parseSelector("10.0.0.1-10.0.0.2"))).toBeNull();
    expect(toPrefix(parseSelector("10.0.0.2-10.0.0.3"))).toBe("10.0.0.2/31");
  });

  it("intersects to exactly the packets that both match", () => {
    fc.assert(
      fc.property(small, small, (a, b) => {
        const both = intersect(a, b);
        for (const packet of allPackets()) expect(both !== null && naiveMatch(both, ...packet)).toBe(naiveMatch(a, ...packet) && naiveMatch(b, ...packet));
        if (both !== null) expect(contains(a, both) && contains(b, both)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it("narrows an offer to exactly the allowed part of it, without a selector that another covers", () => {
    const list = fc.array(small, { maxLength: 4 });
    fc.assert(
      fc.property(list, list, (offered, allowed) => {
        const result = narrow(offered, allowed);
        for (const packet of allPackets()) {
          const expected = offered.some((one) => naiveMatch(one, ...packet)) && allowed.some((one) => naiveMatch(one, ...packet));
          expect(result.some((one) => naiveMatch(one, ...packet))).toBe(expected);
        }
        for (const one of result) for (const other of result) if (one !== other) expect(contains(one, other)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it("narrows RFC 7296 §2.9's wider offer to our network, the initiator's packet first", () => {
    const offer = [parseSelector("10.1.0.5/32[tcp/80]"), parseSelector("0.0.0.0/0")];
    expect(narrow(offer, [fromPrefix("10.1.0.0/24")]).map(formatSelector)).toEqual(["10.1.0.0/24"]);
    expect(narrow(offer.slice(0, 1), [fromPrefix("10.1.0.0/24")]).map(formatSelector)).toEqual(["10.1.0.5/32[tcp/80]"]);
    expect(narrow(offer.slice(0, 1), [fromPrefix("10.9.0.0/24")])).toEqual([]);
  });
});

describe("packet matching", () => {
  it("agrees with the definition for every packet", () => {
    const view = makeIpPacketView();
    fc.assert(
      fc.property(fc.array(small, { maxLength: 3 }), (selectors) => {
        const compiled = compileSelectors(selectors);
        const all = compileSelectors([fromPrefix("0.0.0.0/0"), fromPrefix("::/0")]);
        for (const [family, address, protocol, port] of allPackets()) {
          // ICMP has its type and code for ports; a later IPv6 fragment needs an extension header.
          if (protocol === 1 || (family === 6 && port === -1)) continue;
          const bytes = makePacket(family, address, protocol, port);
          expect(readIpPacket(bytes, 0, bytes.length, view)).toBe(true);
          const expected = selectors.some((one) => naiveMatch(one, family, address, protocol, port));
          expect(matchesPacket(compiled, all, bytes, view, "outbound")).toBe(expected);
          // Inbound, our selectors are about the destination: address 8, port 0.
          const expectedInbound = selectors.some((one) => naiveMatch(one, family, 8, protocol, port === -1 ? -1 : 0));
          expect(matchesPacket(compiled, all, bytes, view, "inbound")).toBe(expectedInbound);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("OutboundSpd", () => {
  const bytes = makePacket(4, 5, 6, 1);
  const view = makeIpPacketView();
  readIpPacket(bytes, 0, bytes.length, view);
  const all = [fromPrefix("0.0.0.0/0")];
  const policy = (id: string, spi: number) => ({ id, localSelectors: all, remoteSelectors: all, action: { kind: "protect" as const, spi: spi as EspSpi } });

  it("takes the first installed match, and a replaced policy keeps its place", () => {
    const spd = new OutboundSpd();
    spd.install(policy("a", 1));
    spd.install(policy("b", 2));
    spd.install(policy("a", 3));
    expect(spd.lookup(bytes, view)?.action).toEqual({ kind: "protect", spi: 3 });
    spd.delete("a");
    expect(spd.lookup(bytes, view)?.id).toBe("b");
    spd.clear();
    expect(spd.lookup(bytes, view)).toBeNull();
  });
});

describe("lifetimes", () => {
  it("puts the soft limit between margin plus jitter and margin before the hard one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 1e9 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (hard, random) => {
        const soft = softLifetime(hard, { margin: 0.1, jitter: 0.2 }, random);
        expect(soft).toBeGreaterThanOrEqual(Math.floor(hard * 0.7) - 1);
        expect(soft).toBeLessThanOrEqual(hard * 0.9);
      }),
    );
    expect(() => softLifetime(10, { margin: 0.5, jitter: 0.5 }, 0)).toThrow(RangeError);
  });

  it("counts a reached limit as passed", () => {
    expect([9, 10, 19, 20].map((used) => lifetimeState({ soft: 10, hard: 20 }, used))).toEqual(["live", "soft", "soft", "hard"]);
    expect(lifetimeState({}, Number.MAX_SAFE_INTEGER)).toBe("live");
    expect(sequenceNumberLimit(false)).toBe(4294967295);
  });
});

/** From the small address to address 8; port -1 makes a later fragment. */
function makePacket(family: number, address: number, protocol: number, port: number): Uint8Array {
  const at = family === 4 ? 20 : 40;
  const bytes = new Uint8Array(at + 8);
  if (family === 4) {
    bytes.set([0x45, 0, 0, 28, 0, 0, 0, port === -1 ? 1 : 0, 64, protocol]);
    bytes.set(bigIntToAddress(BigInt(address), 4), 12);
    bytes.set(bigIntToAddress(8n, 4), 16);
  } else {
    bytes.set([0x60, 0, 0, 0, 0, 8, protocol, 64]);
    bytes.set(bigIntToAddress(BigInt(address), 6), 8);
    bytes.set(bigIntToAddress(8n, 6), 24);
  }
  bytes[at + 1] = Math.max(port, 0);
  return bytes;
}
