import { describe, expect, it } from "vitest";
import { linkConfigs, Pair } from "../testing/pair.ts";
import type { Packet } from "../testing/lossy-link.ts";
import { writeU32 } from "../wire/octets.ts";

const UDP = 8;
const MARKER = 4;

function sizeOf(packet: Packet): number {
  return packet.bytes.length + (packet.to.address.includes(":") ? 40 : 20) + UDP + (packet.from.port === 4_500 ? MARKER : 0);
}

interface Path {
  readonly takes: number;
  readonly says?: boolean;
  /** 4 unless told. */
  readonly family?: 4 | 6;
  readonly ikeProposals?: readonly string[];
  /** The peer's answers get lost until then. */
  readonly isMute?: (packet: Packet) => boolean;
}

/** A pair that is up over such a path; routers drop what may not be fragmented, and say so or not. */
function pairOver(path: Path): Pair {
  const { family = 4, ikeProposals } = path;
  const addresses = family === 4 ? (["192.0.2.1", "192.0.2.2"] as const) : (["2001:db8::1", "2001:db8::2"] as const);
  const pair = new Pair(7, { a: { probesPaths: true }, b: { probesPaths: true }, addresses });
  pair.link.drops = (packet) => {
    if (path.isMute?.(packet) === true) return true;
    if (!packet.dontFragment || sizeOf(packet) <= path.takes) return false;
    const sender = packet.from.address === pair.a.address ? pair.a : pair.b;
    const quoted = Uint8Array.from([...new Uint8Array(MARKER), ...packet.bytes.subarray(0, 60)]);
    if (path.says === true)
      pair.schedule(pair.clock.now() + 5, () => pair.give(sender, { kind: "packetTooBig", remote: packet.to.address, quoted, mtu: path.takes }));
    return true;
  };
  const [a, b] = addresses;
  const configs = linkConfigs({
    both: { forceEncapsulation: true, ...(ikeProposals === undefined ? {} : { ikeProposals }) },
    a: { localAddress: a, remoteAddresses: [b] },
    b: { localAddress: b, remoteAddresses: [a] },
  });
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  expect(pair.runUntil(() => pair.bothUp())).toBe(true);
  return pair;
}

function addLink(pair: Pair, name: string): void {
  const configs = linkConfigs({
    both: { id: name, forceEncapsulation: true },
    a: { localIdentity: { kind: "fqdn", name: `${name}.a` } },
    b: { remoteIdentity: { kind: "fqdn", name: `${name}.a` } },
  });
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
}

const pathMtus = (pair: Pair) => [pair.a, pair.b].map((side) => side.link().ikeSas[0]?.pathMtu);

describe("probes of the path", () => {
  it("find both directions' size, whole where nothing is in the way, and tell the data plane", () => {
    const pair = pairOver({ takes: 1_500 });
    expect(pair.runUntil(() => pathMtus(pair).every((size) => size === 1_500), 5_000)).toBe(true);
    const probes = pair.link.sent.filter((packet) => packet.dontFragment);
    expect(probes.map(sizeOf)).toEqual([1_500, 1_500]);
    expect([pair.a.pathMtus, pair.b.pathMtus]).toEqual([[1_500], [1_500]]);
  });

  it("follow a router that says what it takes, within a round trip", () => {
    const pair = pairOver({ takes: 1_420, says: true });
    expect(pair.runUntil(() => pathMtus(pair).every((size) => size === 1_420), 2_500)).toBe(true);
    expect([pair.a.pathMtus, pair.b.pathMtus]).toEqual([[1_420], [1_420]]);
  });

  it("find a path whose routers say nothing, and leave the IKE SA as it is", () => {
    const pair = pairOver({ takes: 1_400 });
    const before = pair.a.link().ikeSas[0]!.id;
    expect(pair.runUntil(() => pathMtus(pair).every((size) => size != null), 60_000)).toBe(true);
    for (const size of pathMtus(pair)) {
      expect(size).toBeLessThanOrEqual(1_400);
      expect(size).toBeGreaterThan(1_384);
    }
    expect(pair.a.link().ikeSas.map(({ id, state }) => `${id} ${state}`)).toEqual([`${before} established`]);
    expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
  });

  const suites = ["aes256gcm16-prfsha384-x25519", "aes128-sha256-x25519", "aes256-sha512-x25519"];
  const narrow = [1_280, 1_281, 1_290, 1_300, 1_363].flatMap((takes) => suites.map((suite) => ({ takes, suite })));
  it.each(narrow)("find an IPv6 path of $takes octets whose routers say nothing, with $suite, and then rest", ({ takes, suite }) => {
    const pair = pairOver({ takes, family: 6, ikeProposals: [suite] });
    expect(pair.runUntil(() => pathMtus(pair).every((size) => size != null), 90_000)).toBe(true);
    for (const size of pathMtus(pair)) {
      expect(size).toBeLessThanOrEqual(takes);
      expect(size).toBeGreaterThan(takes - 16);
      expect(size).toBeGreaterThanOrEqual(1_280);
    }
    const probes = () => pair.link.sent.filter((packet) => packet.dontFragment).length;
    const before = probes();
    pair.run(200_000);
    expect(probes()).toBe(before);
    expect([...pair.a.failures(), ...pair.b.failures()]).toEqual([]);
  });

  it("do not keep a rekey, and go on in the IKE SA that it makes", () => {
    const pair = pairOver({ takes: 1_400 });
    pair.run(1_500);
    const before = pair.a.link().ikeSas[0]!.id;
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
    expect(pair.runUntil(() => pair.a.link().ikeSas.some(({ id, state }) => id !== before && state === "established"), 5_000)).toBe(true);
    expect(pair.runUntil(() => pathMtus(pair).every((size) => size != null && size <= 1_400), 60_000)).toBe(true);
  });

  it("are made once for a path, however many links go over it, and go on with another when the link that made them is gone", () => {
    const pair = pairOver({ takes: 1_400 });
    for (const name of ["second", "third"]) addLink(pair, name);
    const everyMtu = () => [pair.a, pair.b].flatMap((side) => side.endpoint.snapshot(0).flatMap(({ ikeSas }) => ikeSas.map(({ pathMtu }) => pathMtu)));
    expect(pair.runUntil(() => everyMtu().length === 6 && everyMtu().every((size) => size != null && size <= 1_400), 60_000)).toBe(true);
    const alone = pairOver({ takes: 1_400 });
    expect(alone.runUntil(() => pathMtus(alone).every((size) => size != null), 60_000)).toBe(true);
    const probesOf = ({ link }: Pair) => link.sent.filter((packet) => packet.dontFragment).length;
    expect(probesOf(pair)).toBe(probesOf(alone));
    pair.give(pair.a, { kind: "removeLink", linkId: "link" });
    const before = probesOf(pair);
    // What is known is confirmed every five minutes, by each end.
    pair.run(310_000);
    expect(probesOf(pair)).toBe(before + 2);
    expect(everyMtu().every((size) => size != null && size <= 1_400)).toBe(true);
  });

  it("are sent no more to a peer that fell silent at one", () => {
    const pair = new Pair(7, { a: { probesPaths: true } });
    const configs = linkConfigs({ both: { forceEncapsulation: true } });
    pair.give(pair.b, { kind: "setLink", link: configs.b });
    pair.give(pair.a, { kind: "setLink", link: configs.a });
    // A peer that does not answer what it does not know: such a request gets lost however often it is sent.
    let silent: number | null = null;
    pair.link.drops = (packet) => {
      if (packet.dontFragment) silent = pair.clock.now();
      return silent !== null && pair.clock.now() - silent < 40_000;
    };
    expect(pair.runUntil(() => pair.a.failures().length > 0, 60_000)).toBe(true);
    expect(pair.runUntil(() => pair.bothUp() && silent !== null && pair.clock.now() - silent > 300_000, 400_000)).toBe(true);
    expect(pair.link.sent.filter((packet) => packet.dontFragment)).toHaveLength(1);
  });

  it("do not believe a router that quotes no SPI of ours", () => {
    const pair = pairOver({ takes: 1_500 });
    pair.run(3_000);
    const told = (quoted: Uint8Array, remote = pair.b.address) => pair.give(pair.a, { kind: "packetTooBig", remote, quoted, mtu: 600 });
    const [spi] = [...pair.a.outbound.keys()];
    const esp = new Uint8Array(8);
    told(esp);
    writeU32(esp, 0, spi! ^ 1);
    told(esp);
    writeU32(esp, 0, spi!);
    for (let length = 0; length < 4; length++) told(esp.subarray(0, length));
    told(esp, "192.0.2.200");
    expect(pathMtus(pair)).toEqual([1_500, 1_500]);
    told(esp);
    expect(pair.a.pathMtus).toEqual([1_500, 600]);
    // It was no router after all: the next probe says so, and it is tried again.
    expect(pair.runUntil(() => pathMtus(pair)[0] === 1_500, 900_000)).toBe(true);
  });
});
