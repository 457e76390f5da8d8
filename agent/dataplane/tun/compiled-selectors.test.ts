import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileSelectors, matchesPacket } from "../../ipsec/packet-match.ts";
import type { InboundSa } from "../../ipsec/security-association.ts";
import { parseSelector, toPrefix } from "../../ipsec/traffic-selector.ts";
import { buildDatagram, buildTcp } from "../../testing/inner-packets.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { parseAddress } from "../../wire/address.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { Arena } from "../ffi/arena.ts";
import { closeReceiveSa, isForPacket, makeReceiveSa } from "./inbound-sa.ts";
import { hashedTo, NetworkRows, NO_ROW } from "./network-rows.ts";
import { PolicyTable } from "./policy-table.ts";

/*
 * What is compiled for speed against the definition that it stands for (`matchesPacket`): prefixes of several lengths one in another, ranges that are none, addresses beyond 2^31,
 * ports and protocols at either end, several selectors, both families.
 */
const ours = ["10.0.0.0/30", "10.0.0.1/32", "10.0.0.0-10.0.0.2", "200.0.0.0/31", "0.0.0.0/0", "fd00::/126", "::/0", "10.0.0.0/30[tcp/80]", "10.0.0.0/30[udp]"];
const theirs = ["240.0.0.0/30", "240.0.0.2/32", "240.0.0.1-240.0.0.3", "0.0.0.0/0", "255.255.255.252/30", "fd01::/126", "240.0.0.0/30[tcp/80]", "240.0.0.0/31"];
const someOf = (texts: readonly string[]) => fc.uniqueArray(fc.constantFrom(...texts), { minLength: 1, maxLength: 3 });
const packet = fc
  .record({
    four: fc.record({
      ours: fc.constantFrom("10.0.0.0", "10.0.0.1", "10.0.0.3", "200.0.0.1"),
      theirs: fc.constantFrom("240.0.0.0", "240.0.0.2", "240.0.0.3", "255.255.255.255", "9.9.9.9"),
    }),
    six: fc.record({ ours: fc.constantFrom("fd00::1", "fd00::9"), theirs: fc.constantFrom("fd01::1", "fd01::9") }),
    isFour: fc.boolean(),
    isTcp: fc.boolean(),
    port: fc.constantFrom(80, 22),
  })
  .map(({ four, six, isFour, isTcp, port }) => ({ ends: isFour ? four : six, isTcp, port }));
type Packet = typeof packet extends fc.Arbitrary<infer T> ? T : never;

function build({ ends, isTcp, port }: Packet, direction: "outbound" | "inbound"): Uint8Array {
  const [from, to] = direction === "outbound" ? [ends.ours, ends.theirs] : [ends.theirs, ends.ours];
  const source = parseAddress(from)!;
  const common = {
    family: source.length === 4 ? (4 as const) : (6 as const),
    source,
    destination: parseAddress(to)!,
    sourcePort: port,
    destinationPort: port,
    payload: new Uint8Array(4),
  };
  return isTcp ? buildTcp({ ...common, sequence: 0, flags: 16, options: new Uint8Array(0) }) : buildDatagram(common);
}

describe("compiled selectors", () => {
  it("of a policy are for the packets that a walk through all policies finds, the longest remote prefix first", () => {
    const installed = fc.array(fc.record({ ours: someOf(ours), theirs: someOf(theirs) }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(installed, fc.array(packet, { minLength: 1, maxLength: 8 }), (entries, packets) => {
        const table = new PolicyTable<{ readonly id: string }>();
        const policies = entries.map((entry, index) => {
          const [localSelectors, remoteSelectors] = [entry.ours.map(parseSelector), entry.theirs.map(parseSelector)];
          const id = String(index);
          table.install({ id, localSelectors, remoteSelectors, action: { kind: "protect", spi: 1 as EspSpi } }, { id });
          return { id, local: compileSelectors(localSelectors), remote: compileSelectors(remoteSelectors), remotes: entry.theirs.map(addressesOf) };
        });
        for (const one of packets) {
          const bytes = build(one, "outbound");
          const view = makeIpPacketView();
          readIpPacket(bytes, 0, bytes.length, view);
          const matching = policies.filter(({ local, remote }) => matchesPacket(local, remote, bytes, view, "outbound"));
          // A policy is found by the longest of its remote prefixes that the packet goes to.
          const lengths = matching.map(({ remotes }) =>
            Math.max(...remotes.map(({ length, addresses }) => (matchesPacket(anywhere, addresses, bytes, view, "outbound") ? length : -1))),
          );
          const expected = matching.find((_, at) => lengths[at] === Math.max(...lengths))?.id;
          const number = table.lookup(bytes, view);
          expect(table.policyOf(number)?.id).toBe(expected);
          expect(table.saOf(number)?.id).toBe(expected);
        }
      }),
      { numRuns: 1_500 },
    );
  });

  it("of an inbound SA are for the packets that the definition says", () => {
    const arena = new Arena(1 << 20);
    const parts = partsIn(arena);
    let [taken, refused] = [0, 0];
    fc.assert(
      fc.property(someOf(ours), someOf(theirs), fc.array(packet, { minLength: 1, maxLength: 8 }), (local, remote, packets) => {
        const [localSelectors, remoteSelectors] = [local.map(parseSelector), remote.map(parseSelector)];
        const given: InboundSa = { ...usualSa, direction: "inbound", replayWindowPackets: 64, localSelectors, remoteSelectors };
        const sa = makeReceiveSa(parts, given, 1, 1_500);
        for (const one of packets) {
          const octets = build(one, "inbound");
          arena.bytes.set(octets, 0x8000);
          const view = makeIpPacketView();
          readIpPacket(arena.bytes, 0x8000, 0x8000 + octets.length, view);
          const expected = matchesPacket(compileSelectors(localSelectors), compileSelectors(remoteSelectors), arena.bytes, view, "inbound");
          expect(isForPacket(arena, sa, view)).toBe(expected);
          if (expected) taken++;
          else refused++;
        }
        closeReceiveSa(arena, sa);
      }),
      { numRuns: 1_500 },
    );
    expect(Math.min(taken, refused)).toBeGreaterThan(500);
  });
});

describe("NetworkRows", () => {
  const selectors = null;

  it("has for each network its rows in their order, and none for others, wherever their hashes lie", () => {
    const network = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.nat(20));
    fc.assert(
      fc.property(fc.array(network, { maxLength: 200 }), fc.array(network, { maxLength: 20 }), (networks, others) => {
        const rows = new NetworkRows(networks.map((one, policy) => ({ network: one, policy, selectors })));
        for (const asked of [...networks, ...others]) {
          const found: number[] = [];
          for (let row = rows.first(asked); row !== NO_ROW; row = rows.next(row)) found.push(rows.policyOf(row));
          expect(found).toEqual(networks.flatMap((one, policy) => (one === asked ? [policy] : [])));
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([14, 16, 24, 32])("gives 10,000 networks of /%d one behind the other places all over", (length) => {
    const shift = 32 - 15;
    const places = new Set(Array.from({ length: 10_000 }, (_, i) => hashedTo((i * 2 ** (32 - length)) | 0, shift)));
    // At random 86 of a hundred would be the first to come to theirs.
    expect(places.size).toBeGreaterThan(8_400);
  });
});

const anywhere = compileSelectors(["0.0.0.0/0", "::/0"].map(parseSelector));

/** The selector's addresses, whatever its protocol and ports; `length`: of their prefix, -1 when they are none. */
function addressesOf(text: string) {
  const selector = parseSelector(text.replace(/\[.*$/, ""));
  const prefix = toPrefix(selector);
  return { length: prefix === null ? -1 : Number(prefix.split("/")[1]), addresses: compileSelectors([selector]) };
}
