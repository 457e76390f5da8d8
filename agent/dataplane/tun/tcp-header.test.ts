import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildTcp, headerOctets, naiveTransportChecksum } from "../../testing/inner-packets.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { clampMss, TcpFlag } from "./tcp-header.ts";

const addresses = {
  4: { family: 4, source: Uint8Array.of(10, 0, 0, 1), destination: Uint8Array.of(10, 9, 0, 2) },
  6: { family: 6, source: new Uint8Array(16).fill(0xfd), destination: new Uint8Array(16).fill(0xfc) },
} as const;

function syn(family: 4 | 6, options: readonly number[], flags: number = TcpFlag.SYN): Uint8Array {
  const padded = new Uint8Array(Math.ceil(options.length / 4) * 4);
  padded.set(options);
  return buildTcp({ ...addresses[family], sourcePort: 50_000, destinationPort: 80, sequence: 1, flags, options: padded, payload: new Uint8Array(0) });
}

function clamped(packet: Uint8Array, maxInner: number, isPartial = false): Uint8Array {
  const copy = packet.slice();
  const view = makeIpPacketView();
  if (!readIpPacket(copy, 0, copy.length, view)) throw new Error("not a packet");
  clampMss(copy, view, copy.length, maxInner, isPartial);
  return copy;
}

const mss = (value: number) => [2, 4, value >> 8, value & 255];
/** The MSS announced `before` octets into the options. */
const announced = (packet: Uint8Array, before: number) => new DataView(packet.buffer).getUint16(headerOctets(packet) + 20 + before + 2);

describe("clampMss", () => {
  it.each<4 | 6>([4, 6])("lowers the MSS of a SYN over IPv%i to what fits, at any offset, and keeps the checksum right", (family) => {
    const limit = (maxInner: number) => maxInner - (family === 4 ? 40 : 60);
    fc.assert(
      fc.property(fc.nat(7), fc.nat(65_535), fc.integer({ min: 1_280, max: 9_000 }), fc.boolean(), (nops, value, maxInner, isAnswer) => {
        const packet = syn(family, [...new Array<number>(nops).fill(1), ...mss(value)], TcpFlag.SYN | (isAnswer ? TcpFlag.ACK : 0));
        const result = clamped(packet, maxInner);
        expect(announced(result, nops)).toBe(Math.min(value, limit(maxInner)));
        expect(naiveTransportChecksum(result)).toBe(0);
      }),
    );
  });

  it("finds the MSS behind other options", () => {
    expect(announced(clamped(syn(4, [3, 3, 7, 4, 2, ...mss(1_460)]), 1_400), 5)).toBe(1_360);
  });

  it("leaves the checksum alone while somebody is still to complete it", () => {
    const packet = syn(4, mss(1_460));
    const result = clamped(packet, 1_400, true);
    expect(announced(result, 0)).toBe(1_360);
    expect(result.slice(36, 38)).toEqual(packet.slice(36, 38));
  });

  it.each([
    ["no SYN", syn(4, mss(1_460), TcpFlag.ACK)],
    ["no options", syn(4, [])],
    ["the MSS behind the end of the list", syn(4, [0, ...mss(1_460)])],
    ["an MSS of another length", syn(4, [2, 3, 5])],
    ["an option of length 0", syn(4, [3, 0, ...mss(1_460)])],
    ["an option of length 1", syn(4, [3, 1, ...mss(1_460)])],
    ["an option longer than the header", syn(4, [3, 40, ...mss(1_460)])],
    ["a kind without its length", syn(4, [1, 1, 1, 2])],
    ["an MSS cut off by the end of the header", syn(4, [1, 1, 2, 4])],
  ])("changes nothing with %s", (_name, packet) => {
    expect(clamped(packet, 100)).toEqual(packet);
  });

  it("ends on any octets at all, and never changes one outside the options and the checksum", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<4 | 6>(4, 6),
        fc.uint8Array({ minLength: 0, maxLength: 40 }),
        fc.nat(15),
        fc.boolean(),
        (family, options, offset, isShort) => {
          const packet = syn(family, [...options]);
          const at = headerOctets(packet);
          packet[at + 12] = offset << 4;
          const end = isShort ? packet.length - 1 : packet.length;
          const copy = new Uint8Array([...packet, 2, 4, 255, 255, 2, 4, 255, 255]);
          const view = makeIpPacketView();
          if (!readIpPacket(copy, 0, packet.length, view)) throw new Error("not a packet");
          const before = copy.slice();
          clampMss(copy, view, end, 1_400, false);
          const optionsEnd = at + offset * 4;
          for (let i = 0; i < copy.length; i++) {
            const mayChange = (i >= at + 16 && i < at + 18) || (i >= at + 20 && i < Math.min(optionsEnd, end));
            if (!mayChange) expect(copy[i]).toBe(before[i]);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
