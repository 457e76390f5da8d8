import { release } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildDatagram, buildTcp, buildUdp, naiveChecksum } from "../../testing/inner-packets.ts";
import { FORWARDED_HOST, ip, LivePair, type LiveSite, until } from "../../testing/live-gateways.ts";
import { parseAddress } from "../../wire/address.ts";
import { VNET_HEADER_OCTETS, Vnet } from "../ffi/tun-device.ts";
import { Ecn } from "./ecn.ts";
import { Tcp, TcpFlag } from "./tcp-header.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const pair = new LivePair("o");
const HEADER_OCTETS = 40;

function hosts() {
  return {
    family: 4,
    source: parseAddress(FORWARDED_HOST) ?? new Uint8Array(4),
    destination: parseAddress(pair.right.inside) ?? new Uint8Array(4),
    sourcePort: 40_000,
    destinationPort: 7_000,
  } as const;
}

/** One frame of a TCP flow that the kernel is to cut at `segmentOctets`, as a virtual machine or another VPN hands it over. */
function largeFrame(payloadOctets: number, segmentOctets: number, trafficClass = 0): Uint8Array {
  const payload = new Uint8Array(payloadOctets).fill(0x5a);
  const packet = buildTcp({ ...hosts(), sequence: 1_000, flags: TcpFlag.ACK, options: new Uint8Array(0), payload, trafficClass });
  return frameOf(packet, { gsoType: Vnet.GSO_TCPV4, segmentOctets, headerOctets: HEADER_OCTETS, checksumOffset: Tcp.checksum });
}

interface Offload {
  readonly gsoType: number;
  readonly segmentOctets: number;
  readonly headerOctets: number;
  /** From the transport header on. */
  readonly checksumOffset: number;
}

function frameOf(packet: Uint8Array, { gsoType, segmentOctets, headerOctets, checksumOffset }: Offload): Uint8Array {
  const frame = new Uint8Array(VNET_HEADER_OCTETS + packet.length);
  const vnet = new DataView(frame.buffer);
  vnet.setUint8(0, Vnet.NEEDS_CSUM);
  vnet.setUint8(1, gsoType);
  for (const [index, value] of [headerOctets, segmentOctets, 20, checksumOffset].entries()) vnet.setUint16(2 + 2 * index, value, true);
  frame.set(packet, VNET_HEADER_OCTETS);
  return frame;
}

/** Frames that the left gateway read from its device. */
function deviceFrames(): number {
  return deviceOf(pair.left).tx.packets;
}

/** As the kernel counts: `rx` is what the gateway wrote. */
function deviceOf({ namespace }: LiveSite): { readonly rx: { readonly packets: number }; readonly tx: { readonly packets: number } } {
  return JSON.parse(ip("-n", namespace, "-json", "-statistics", "link", "show", "culvert0"))[0].stats64;
}

describe("a forwarded flow", () => {
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
        return outbound.packets >= 3 || outbound.drops.tooBig + outbound.drops.malformed > 0;
      });
      const { outbound } = await l.counters();
      expect(outbound).toMatchObject({ packets: 3, bytes: payloadOctets + 3 * HEADER_OCTETS, drops: { tooBig: 0, malformed: 0 } });
      expect(await pair.lostEchoes({ count: 1, dataOctets: 0 })).toEqual([]);
      expect((await r.counters()).inbound).toMatchObject({ packets: 4, bytes: payloadOctets + 3 * HEADER_OCTETS + 28 });
    });
  });

  asRoot("is cut into its datagrams when it is UDP that was handed over as one, none larger than the path takes", async () => {
    const [l, r] = await pair.startBoth();
    const [segmentOctets, count] = [1_400, 20];
    const payload = new Uint8Array(segmentOctets * count - 7).fill(0x3c);
    const packet = buildDatagram({ ...hosts(), payload });
    await pair.forwarded([frameOf(packet, { gsoType: Vnet.GSO_UDP_L4, segmentOctets, headerOctets: 28, checksumOffset: 6 })], async () => {
      await until("the datagrams to be sealed", async () => (await l.counters()).outbound.packets >= count);
      const octets = payload.length + count * 28;
      expect((await l.counters()).outbound).toMatchObject({ packets: count, bytes: octets, drops: { tooBig: 0, malformed: 0 } });
      expect(await pair.lostEchoes({ count: 1, dataOctets: 0 })).toEqual([]);
      expect((await r.counters()).inbound).toMatchObject({ packets: count + 1, bytes: octets + 28 });
      // One read of the device gave them all: from Linux 6.2 on the kernel leaves the cutting to us.
      const [major = 0, minor = 0] = release().split(".").map(Number);
      expect(deviceFrames()).toBe(major * 100 + minor >= 602 ? 2 : count + 1);
    });
  });

  asRoot.each([
    ["no mark", 0],
    ["ECT(1), as L4S has it", Ecn.ECT_1],
    ["congestion experienced", Ecn.CE],
  ])("goes to the inside as one frame again, with %s", async (_name, trafficClass) => {
    const [, r] = await pair.startBoth();
    const count = 20;
    await pair.forwarded([largeFrame(count * 1_398, 1_398, trafficClass)], async () => {
      await until("the segments to be written", async () => (await r.counters()).inbound.packets >= count);
      expect((await r.counters()).inbound).toMatchObject({ packets: count, bytes: count * (1_398 + HEADER_OCTETS), drops: { malformed: 0, congestion: 0 } });
      expect(deviceOf(pair.right).rx.packets).toBe(1);
    });
  });

  asRoot("gives each ESP packet the DSCP and ECN of what is inside, whole frames included", async () => {
    const [l] = await pair.startBoth();
    const expedited = 0xb8;
    const classes = [0, Ecn.ECT_0, expedited | Ecn.ECT_1, expedited, Ecn.CE];
    const frames = classes.flatMap((trafficClass) => [
      Buffer.concat([new Uint8Array(VNET_HEADER_OCTETS), buildUdp(FORWARDED_HOST, pair.right.inside, 7_000, trafficClass)]),
      largeFrame(2_900, 1_398, trafficClass),
    ]);
    const sealed = classes.length * (1 + 3);
    const datagrams = await pair.captured(
      () => pair.forwarded(frames, () => until("all to be sealed", async () => (await l.counters()).outbound.packets >= sealed)),
      pair.right,
    );
    const seen = new Map<number, number>();
    // A run of packets may be seen as one whose cutting is left to the device: its own length tells how many.
    for (const datagram of datagrams) seen.set(datagram[1]!, (seen.get(datagram[1]!) ?? 0) + Math.ceil(datagram.length / 1_500));
    for (const trafficClass of classes.slice(1)) expect(seen.get(trafficClass), `class ${trafficClass}`).toBe(1 + 3);
    expect(seen.get(0)).toBeGreaterThanOrEqual(1 + 3);
    // What the kernel itself answers, once the host is gone, has the class of network control and of what it answers the type of service (RFC 1349).
    const answers = classes.map((trafficClass) => 0xc0 | (trafficClass & 0x1e));
    expect([...seen.keys()].filter((trafficClass) => !classes.includes(trafficClass) && !answers.includes(trafficClass))).toEqual([]);
  });

  asRoot("learns of congestion outside as RFC 6040 §4.2 has it; what cannot be told of it is dropped and counted", async () => {
    const l = await pair.start(pair.left);
    const marks = [Ecn.NOT_ECT, Ecn.ECT_1, Ecn.ECT_0, Ecn.CE];
    const dscp = 0x28;
    const sent = marks.flatMap((inner) => marks.map((outer) => ({ inner, outer })));
    const packets = sent.map(({ inner, outer }, index) => ({
      inner: buildUdp(pair.right.inside, pair.left.inside, 7_000, dscp | inner).toString("hex"),
      sequence: 1 + index,
      trafficClass: 0xb8 | outer,
    }));
    const seen = (await pair.delivered(packets)).map((packet) => {
      expect(naiveChecksum(packet.subarray(0, 20))).toBe(0);
      return packet[1]! - dscp;
    });
    const { NOT_ECT, ECT_0, ECT_1, CE } = Ecn;
    const [withoutCe, ofEct1, ofEct0, ofCe] = [Array(3).fill(NOT_ECT), [ECT_1, ECT_1, ECT_1, CE], [ECT_0, ECT_1, ECT_0, CE], [CE, CE, CE, CE]];
    expect(seen).toEqual([...withoutCe, ...ofEct1, ...ofEct0, ...ofCe]);
    expect((await l.counters()).inbound).toMatchObject({ packets: 15 + 1, drops: { congestion: 1, malformed: 0, integrity: 0 } });
  });
});
