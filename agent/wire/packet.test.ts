import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "./address.ts";
import { internetChecksum, finishChecksum, sumWords } from "./checksum.ts";
import { espPayloadEnd, padLengthFor, writeEspTrailer } from "./esp.ts";
import { buildEcho, buildPacketTooBig } from "./icmp.ts";
import { IpProtocol, makeIpPacketView, readIpPacket } from "./ip.ts";
import { addNonEspMarker, classifyEncapsulated, natKeepalive } from "./udp-encap.ts";

const v4 = { a: parseAddress("10.1.0.1")!, b: parseAddress("10.2.0.1")! };
const v6 = { a: parseAddress("2001:db8::1")!, b: parseAddress("2001:db8::2")! };
const echo = { identifier: 7, sequence: 9, data: Uint8Array.of(1, 2, 3) };

function icmpSum(packet: Uint8Array): number {
  if (packet[0]! >> 4 === 4) return internetChecksum(packet, 20, packet.length);
  return finishChecksum(sumWords(packet, 40, packet.length, sumWords(packet, 8, 40, packet.length - 40 + IpProtocol.ICMPV6)));
}

describe("checksum", () => {
  it("gives the value of the example of RFC 1071 §3", () => {
    expect(internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7), 0, 8)).toBe(~0xddf2 & 0xffff);
  });
});

describe("ICMP", () => {
  it.each([
    ["IPv4", v4],
    ["IPv6", v6],
  ] as const)("builds an echo with right checksums over %s", (_name, { a, b }) => {
    const packet = buildEcho("request", a, b, echo);
    const view = makeIpPacketView();
    expect(readIpPacket(packet, 0, packet.length, view)).toBe(true);
    expect(icmpSum(packet)).toBe(0);
    if (a.length === 4) expect(internetChecksum(packet, 0, 20)).toBe(0);
    expect(view.totalLength).toBe(packet.length);
    expect(packet.subarray(view.sourceOffset, view.sourceOffset + a.length)).toEqual(a);
    expect(packet.subarray(view.destinationOffset, view.destinationOffset + a.length)).toEqual(b);
    expect(view.sourcePort).toBe(a.length === 4 ? 8 << 8 : 128 << 8);
    expect(view.destinationPort).toBe(view.sourcePort);
  });

  it.each([
    ["IPv4", v4],
    ["IPv6", v6],
  ] as const)("tells the sender of a too big %s packet the MTU and quotes it", (_name, { a, b }) => {
    const original = buildEcho("request", a, b, { ...echo, data: new Uint8Array(1400) });
    const error = buildPacketTooBig(original, 0, original.length, b, 1300)!;
    expect(icmpSum(error)).toBe(0);
    const at = a.length === 4 ? 20 : 40;
    expect(error.length).toBe(a.length === 4 ? 576 : 1280);
    expect([error[at], error[at + 1]]).toEqual(a.length === 4 ? [3, 4] : [2, 0]);
    expect((error[at + 6]! << 8) | error[at + 7]!).toBe(1300);
    expect(error.subarray(at + 8)).toEqual(original.subarray(0, error.length - at - 8));
    expect(buildPacketTooBig(error, 0, error.length, a, 1300), "an error about an error").toBeNull();
  });
});

describe("IP packets", () => {
  it("has no ports for a later fragment and reports the fragment and DF bits", () => {
    const packet = new Uint8Array(28);
    packet.set([0x45, 0, 0, 28, 0, 0, 0x20, 0x05, 64, IpProtocol.UDP, 0, 0, ...v4.a, ...v4.b, 0, 53, 0, 54, 0, 8, 0, 0]);
    const view = makeIpPacketView();
    expect(readIpPacket(packet, 0, 28, view)).toBe(true);
    expect(view).toMatchObject({ isFragment: true, sourcePort: -1, destinationPort: -1, dontFragment: false });
    packet[6] = 0x40;
    packet[7] = 0;
    expect(readIpPacket(packet, 0, 28, view)).toBe(true);
    expect(view).toMatchObject({ isFragment: false, sourcePort: 53, destinationPort: 54, dontFragment: true });
  });

  it("finds the ports behind IPv6 extension headers", () => {
    const packet = new Uint8Array(40 + 8 + 8 + 8);
    packet.set([0x60, 0, 0, 0, 0, 24, 0, 64, ...v6.a, ...v6.b, 60, 0, 0, 0, 0, 0, 0, 0, IpProtocol.UDP, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    const view = makeIpPacketView();
    expect(readIpPacket(packet, 0, packet.length, view)).toBe(true);
    expect(view).toMatchObject({ protocol: IpProtocol.UDP, transportOffset: 56, sourcePort: 0x0102, destinationPort: 0x0304 });
  });

  it("never looks outside the range it was given", () => {
    const view = makeIpPacketView();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x45, 0x46, 0x60), fc.nat(40), (random, first, start) => {
        const buffer = new Uint8Array(start + random.length);
        buffer.set(random, start);
        if (random.length > 0) buffer[start] = first;
        if (!readIpPacket(buffer, start, buffer.length, view)) return;
        expect(start + view.totalLength).toBeLessThanOrEqual(buffer.length);
        expect(view.transportOffset).toBeLessThanOrEqual(start + view.totalLength);
        expect(Number.isNaN(view.sourcePort + view.destinationPort)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("port 4500", () => {
  it("tells IKE, ESP and keepalives apart (RFC 3948 §2)", () => {
    expect(classifyEncapsulated(addNonEspMarker(new Uint8Array(28)))).toBe("ike");
    expect(classifyEncapsulated(natKeepalive())).toBe("keepalive");
    expect(classifyEncapsulated(Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 1))).toBe("esp");
    expect(classifyEncapsulated(Uint8Array.of(0, 0, 1, 0, 0, 0, 0))).toBe("invalid");
    expect(classifyEncapsulated(Uint8Array.of(0xfe))).toBe("invalid");
    expect(classifyEncapsulated(new Uint8Array(0))).toBe("invalid");
  });
});

describe("ESP trailer", () => {
  it("finds the payload again behind its padding, and refuses a changed pad octet", () => {
    fc.assert(
      fc.property(fc.nat(100), fc.constantFrom(4, 16), (length, alignment) => {
        const buffer = new Uint8Array(160);
        const padLength = padLengthFor(length, alignment);
        const end = writeEspTrailer(buffer, 8 + length, padLength, 4);
        expect((end - 8) % alignment).toBe(0);
        expect(espPayloadEnd(buffer, 8, end)).toBe(8 + length);
        if (padLength > 0) {
          buffer[8 + length] = 99;
          expect(espPayloadEnd(buffer, 8, end)).toBe(-1);
        }
      }),
    );
    expect(espPayloadEnd(Uint8Array.of(1, 200, 4), 0, 3)).toBe(-1);
  });
});
