import { describe, expect, it } from "vitest";
import { parseAddress } from "./address.ts";
import { internetChecksum, sumWords, finishChecksum } from "./checksum.ts";
import { buildPacketTooBig, buildUnreachable, readPacketTooBig } from "./icmp.ts";
import { makeIpPacketView, readIpPacket } from "./ip.ts";
import { readU16, writeU32 } from "./octets.ts";
import { buildUnfragmentedUdp } from "./udp-packet.ts";

const families = [
  { family: 4, source: parseAddress("192.0.2.1")!, destination: parseAddress("198.51.100.1")!, router: parseAddress("192.0.2.254")!, header: 20 },
  { family: 6, source: parseAddress("2001:db8::1")!, destination: parseAddress("2001:db8:2::1")!, router: parseAddress("2001:db8::fe")!, header: 40 },
] as const;

describe.each(families)("IPv$family", ({ family, source, destination, router, header }) => {
  const payload = new Uint8Array(1_000);
  writeU32(payload, 0, 0xc0ffee01);
  const packet = buildUnfragmentedUdp({ source, sourcePort: 4_500, destination, destinationPort: 4_501 }, payload);
  const told = buildPacketTooBig(packet, 0, packet.length, router, 1_400)!;
  // A raw socket gives the IP header with ICMPv4, and not with ICMPv6.
  const start = family === 4 ? 0 : header;

  it("a datagram that may not be fragmented is a whole packet with a right checksum", () => {
    const view = makeIpPacketView();
    expect(readIpPacket(packet, 0, packet.length, view)).toBe(true);
    expect(view).toMatchObject({ family, totalLength: header + 8 + 1_000, dontFragment: true, isFragment: false, sourcePort: 4_500, destinationPort: 4_501 });
    const pseudo = sumWords(packet, family === 4 ? 12 : 8, header, 8 + 1_000 + 17);
    expect(finishChecksum(sumWords(packet, header, packet.length, pseudo))).toBe(0);
  });

  it("what a router says of it names the size, where it was going to, and what it began with", () => {
    const read = readPacketTooBig(told, start, told.length, family)!;
    expect(read.mtu).toBe(1_400);
    expect(told.subarray(read.destinationAt, read.destinationAt + destination.length)).toEqual(destination);
    expect(told.subarray(read.payloadAt, read.payloadAt + 4)).toEqual(payload.subarray(0, 4));
  });

  it("whatever is cut off or changed is read within its bounds or not at all", () => {
    for (let end = 0; end <= told.length; end++) {
      const read = readPacketTooBig(told.slice(0, end), start, end, family);
      if (read !== null) expect(read.payloadAt + 4).toBeLessThanOrEqual(end);
    }
    for (let at = start; at < Math.min(told.length, start + 120); at++) {
      for (const value of [0, 0x0f, 0x41, 0x4f, 0xff]) {
        const changed = told.slice();
        changed[at] = value;
        const read = readPacketTooBig(changed, start, changed.length, family);
        if (read !== null) expect(read.payloadAt + 4).toBeLessThanOrEqual(changed.length);
      }
    }
  });

  it("nothing is said of what went to several, from whom is no one host, or from where nothing comes", () => {
    const none = family === 4 ? ["0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"] : ["::", "ff02::1"];
    const several = family === 4 ? ["224.0.0.251", "239.1.2.3", "255.255.255.255"] : ["ff02::fb"];
    const said = (from: Uint8Array, to: Uint8Array, by: Uint8Array) => {
      const about = buildUnfragmentedUdp({ source: from, sourcePort: 1, destination: to, destinationPort: 2 }, payload);
      const ends = [about, 0, about.length, by] as const;
      return [buildPacketTooBig(...ends, 1_400), buildUnreachable(...ends, "noPeer"), buildUnreachable(...ends, "prohibited")].map((it) => it !== null);
    };
    expect(said(source, destination, router)).toEqual([true, true, true]);
    for (const address of none) expect(said(parseAddress(address)!, destination, router), address).toEqual([false, false, false]);
    for (const address of several) {
      const to = parseAddress(address)!;
      // RFC 4443 §2.4(e.3): of IPv6 the size may be told.
      expect(said(source, to, router), address).toEqual([family === 6, false, false]);
      expect(said(source, to, to), address).toEqual([false, false, false]);
    }
  });

  it("a message of another kind is none", () => {
    const other = buildUnreachable(packet, 0, packet.length, router, "prohibited")!;
    expect(readPacketTooBig(other, start, other.length, family)).toBeNull();
    expect([other[header], other[header + 1]]).toEqual(family === 4 ? [3, 13] : [1, 1]);
    const unreachable = buildUnreachable(packet, 0, packet.length, router, "noPeer")!;
    expect([unreachable[header], unreachable[header + 1]]).toEqual(family === 4 ? [3, 1] : [1, 3]);
    if (family === 4) expect(internetChecksum(unreachable, 20, unreachable.length)).toBe(0);
    expect(readU16(unreachable, header + 6)).toBe(0);
    expect(buildUnreachable(unreachable, 0, unreachable.length, source, "noPeer"), "an error about an error").toBeNull();
  });
});
