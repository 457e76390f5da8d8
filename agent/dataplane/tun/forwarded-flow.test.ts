import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildTcp } from "../../testing/inner-packets.ts";
import { FORWARDED_HOST, LivePair, until } from "../../testing/live-gateways.ts";
import { parseAddress } from "../../wire/address.ts";
import { VNET_HEADER_OCTETS, Vnet } from "../ffi/tun-device.ts";
import { Tcp, TcpFlag } from "./tcp-header.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const pair = new LivePair("f");
const HEADER_OCTETS = 40;

/** One frame of a TCP flow that the kernel is to cut at `segmentOctets`, as a virtual machine or another VPN hands it over. */
function largeFrame(payloadOctets: number, segmentOctets: number): Uint8Array {
  const packet = buildTcp({
    family: 4,
    source: parseAddress(FORWARDED_HOST) ?? new Uint8Array(4),
    destination: parseAddress(pair.right.inside) ?? new Uint8Array(4),
    sourcePort: 40_000,
    destinationPort: 7_000,
    sequence: 1_000,
    flags: TcpFlag.ACK,
    options: new Uint8Array(0),
    payload: new Uint8Array(payloadOctets).fill(0x5a),
  });
  const frame = new Uint8Array(VNET_HEADER_OCTETS + packet.length);
  const vnet = new DataView(frame.buffer);
  vnet.setUint8(0, Vnet.NEEDS_CSUM);
  vnet.setUint8(1, Vnet.GSO_TCPV4);
  for (const [index, value] of [HEADER_OCTETS, segmentOctets, HEADER_OCTETS - 20, Tcp.checksum].entries()) vnet.setUint16(2 + 2 * index, value, true);
  frame.set(packet, VNET_HEADER_OCTETS);
  return frame;
}

describe("a forwarded TCP flow", () => {
  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
  });

  // The kernel keeps a frame of less than a page in one piece, and hdr_len of the vnet header is then all of it, data included.
  asRoot("is cut at its segment size, however much of a frame the kernel calls its header", async () => {
    const [l, r] = await pair.startBoth();
    const segmentOctets = 1_398;
    const payloadOctets = 2 * segmentOctets + 100;
    await pair.forwarded([largeFrame(payloadOctets, segmentOctets)], async () => {
      await until("the frame to be dealt with", async () => {
        const { outbound } = await l.counters();
        return outbound.packets + outbound.drops.tooBig + outbound.drops.malformed > 0;
      });
      const { outbound } = await l.counters();
      expect(outbound).toMatchObject({ packets: 3, bytes: payloadOctets + 3 * HEADER_OCTETS, drops: { tooBig: 0, malformed: 0 } });
      expect(await pair.lostEchoes({ count: 1, dataOctets: 0 })).toEqual([]);
      expect((await r.counters()).inbound).toMatchObject({ packets: 4, bytes: payloadOctets + 3 * HEADER_OCTETS + 28 });
    });
  });
});
