import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildDatagram, buildTcp, headerOctets, naiveChecksum, naiveTransportChecksum, type TcpPacket } from "../../testing/inner-packets.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { Arena } from "../ffi/arena.ts";
import { segmentTcp, segmentUdp } from "./segmentation.ts";
import { TcpFlag } from "./tcp-header.ts";

const arena = new Arena(1 << 20);
const inputAt = arena.allocate(70_000);
const outputAt = arena.allocate(300_000);

const octets = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const words = (maximum: number) => fc.integer({ min: 0, max: maximum }).chain((count) => octets(count * 4, count * 4));
const packets: fc.Arbitrary<TcpPacket> = fc.constantFrom<4 | 6>(4, 6).chain((family) =>
  fc.record({
    family: fc.constant(family),
    source: octets(family === 4 ? 4 : 16, family === 4 ? 4 : 16),
    destination: octets(family === 4 ? 4 : 16, family === 4 ? 4 : 16),
    sourcePort: fc.nat(65_535),
    destinationPort: fc.nat(65_535),
    sequence: fc.oneof(fc.nat(0xffffffff), fc.integer({ min: 0xffff_f000, max: 0xffff_ffff })),
    flags: fc.nat(255),
    options: words(10),
    payload: fc.oneof(octets(0, 100), octets(100, 9_000)),
    identification: fc.oneof(fc.nat(65_535), fc.integer({ min: 65_530, max: 65_535 })),
    ipOptions: words(family === 4 ? 10 : 0),
  }),
);

/** The pieces, or null when the packet is none that can be cut. */
function cut(packet: Uint8Array, segmentOctets: number, most = Number.POSITIVE_INFINITY, segment = segmentTcp): Uint8Array[] | null {
  const view = makeIpPacketView();
  arena.bytes.set(packet, inputAt);
  if (!readIpPacket(arena.bytes, inputAt, inputAt + packet.length, view)) throw new Error("not a packet");
  const pieces: Uint8Array[] = [];
  let at = outputAt;
  const place = (): number => at;
  const done = (here: number, length: number): boolean => {
    pieces.push(arena.bytes.slice(here, here + length));
    at += length + 3;
    return pieces.length < most;
  };
  return segment(arena, inputAt, view, segmentOctets, place, done) ? pieces : null;
}

describe("segmentTcp", () => {
  it("keeps every octet, numbers the pieces on, and gives each right lengths, flags and checksums", () => {
    fc.assert(
      fc.property(packets, fc.integer({ min: 100, max: 2_000 }), (packet, segmentOctets) => {
        const whole = buildTcp(packet);
        const pieces = cut(whole, segmentOctets);
        if (pieces === null) throw new Error("was not cut");
        const tcpAt = headerOctets(whole);
        const payloadAt = tcpAt + 20 + packet.options.length;
        expect(pieces).toHaveLength(Math.max(1, Math.ceil(packet.payload.length / segmentOctets)));
        expect(Buffer.concat(pieces.map((piece) => piece.subarray(payloadAt))).equals(packet.payload)).toBe(true);
        for (const [index, piece] of pieces.entries()) {
          const isLast = index === pieces.length - 1;
          if (!isLast) expect(piece.length - payloadAt).toBe(segmentOctets);
          const allowed = (isLast ? 255 : ~(TcpFlag.FIN | TcpFlag.PSH)) & (index === 0 ? 255 : ~TcpFlag.CWR);
          const changes = { payload: packet.payload.subarray(index * segmentOctets, (index + 1) * segmentOctets), flags: packet.flags & allowed };
          const sequence = (packet.sequence + index * segmentOctets) % 2 ** 32;
          const identification = ((packet.identification ?? 0) + index) & 0xffff;
          expect(Buffer.from(piece).equals(buildTcp({ ...packet, ...changes, sequence, identification }))).toBe(true);
          expect(naiveTransportChecksum(piece)).toBe(0);
          if (packet.family === 4) expect(naiveChecksum(piece.subarray(0, tcpAt))).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  const plain = {
    family: 4,
    source: Uint8Array.of(10, 0, 0, 1),
    destination: Uint8Array.of(10, 0, 0, 2),
    sourcePort: 1,
    destinationPort: 2,
    sequence: 7,
  } as const;
  const one = buildTcp({ ...plain, flags: TcpFlag.ACK, options: new Uint8Array(0), payload: new Uint8Array(1_000).fill(9) });

  it("stops when the taker has had enough", () => {
    expect(cut(one, 100, 3)).toHaveLength(3);
  });

  it("refuses what it cannot cut: no segment size, UDP, a fragment, a TCP header longer than the packet", () => {
    const changed = (at: number, value: number) => {
      const copy = one.slice();
      copy[at] = value;
      return copy;
    };
    expect(cut(one, 0)).toBeNull();
    expect(cut(changed(9, 17), 100)).toBeNull();
    expect(cut(changed(6, 0x20), 100)).toBeNull();
    expect(cut(changed(32, 0x40), 100)).toBeNull();
    const short = buildTcp({ ...plain, flags: TcpFlag.ACK, options: new Uint8Array(0), payload: new Uint8Array(0) });
    short[32] = 0x60;
    expect(cut(short, 100)).toBeNull();
  });
});

describe("segmentUdp", () => {
  it("keeps every octet and gives each datagram right lengths and checksums", () => {
    fc.assert(
      fc.property(packets, fc.integer({ min: 100, max: 2_000 }), (packet, segmentOctets) => {
        const pieces = cut(buildDatagram(packet), segmentOctets, Number.POSITIVE_INFINITY, segmentUdp);
        const count = Math.max(1, Math.ceil(packet.payload.length / segmentOctets));
        const expected = Array.from({ length: count }, (_, index) =>
          buildDatagram({
            ...packet,
            identification: ((packet.identification ?? 0) + index) & 0xffff,
            payload: packet.payload.subarray(index * segmentOctets, (index + 1) * segmentOctets),
          }),
        );
        expect(pieces?.map((piece) => Buffer.from(piece).toString("hex"))).toEqual(expected.map((piece) => Buffer.from(piece).toString("hex")));
      }),
      { numRuns: 60 },
    );
  });

  it("refuses TCP, no segment size, a fragment and a header that is not whole", () => {
    const plain = { family: 4, source: Uint8Array.of(10, 0, 0, 1), destination: Uint8Array.of(10, 0, 0, 2), sourcePort: 1, destinationPort: 2 } as const;
    const whole = buildDatagram({ ...plain, payload: new Uint8Array(1_000) });
    const cutUdp = (packet: Uint8Array, segmentOctets = 100) => cut(packet, segmentOctets, Number.POSITIVE_INFINITY, segmentUdp);
    expect(cutUdp(whole)).toHaveLength(10);
    expect(cutUdp(whole, 0)).toBeNull();
    expect(cutUdp(buildTcp({ ...plain, sequence: 0, flags: 0, options: new Uint8Array(0), payload: new Uint8Array(1_000) }))).toBeNull();
    expect(cutUdp(Uint8Array.from(whole, (octet, at) => (at === 6 ? 0x20 : octet)))).toBeNull();
    const short = whole.slice(0, 27);
    new DataView(short.buffer).setUint16(2, short.length);
    expect(cutUdp(short)).toBeNull();
  });
});
